// What a call's headers must be like for gRPC 1.51, which else closes the
// connection that they came by. For nginx.conf; njs as of version 0.7.9.

// As gRPC decodes it: padding is optional, and no bit is left over.
const BASE64 = new RegExp(
    '^(?:[A-Za-z0-9+/]{4})*' +
    '(?:[A-Za-z0-9+/][AQgw]|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048])?=*$');

// gRPC takes 8 KiB, and counts 32 bytes for each header beside its text, of
// which nginx lets 4 KiB in.
const MAX_HEADERS = 64;

// What is wrong with the headers, for whoever calls; empty if nothing is.
function fault(r) {
  if (r.rawHeadersIn.length > MAX_HEADERS) {
    return 'more than ' + MAX_HEADERS + ' headers';
  }
  const undecodable = r.rawHeadersIn.some(
      (header) => header[0].toLowerCase().endsWith('-bin') &&
          !BASE64.test(header[1]));
  return undecodable ? 'the value of a -bin header is not base64' : '';
}

export default {fault};
