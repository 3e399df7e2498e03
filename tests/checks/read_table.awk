# Reads a table: a line that starts in column 1 starts a row.
function read_table(text, table,    lines, words, n, m, i, j, key) {
  n = split(text, lines, "\n")
  for (i = 1; i <= n; i++) {
    m = split(lines[i], words, " ")
    for (j = 1; j <= m; j++) {
      if (j == 1 && lines[i] !~ /^ /) {
        key = words[1]
        table[key] = " "
      } else {
        table[key] = table[key] words[j] " "
      }
    }
  }
}
