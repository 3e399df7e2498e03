'use strict';

// Asks for /status.json every two seconds and shows what it says. What is
// written into the page is text, never HTML.

const PERIOD = 2000;
const byId = id => document.getElementById(id);
const SVG = 'http://www.w3.org/2000/svg';

function element(name, attributes, ...children) {
  const node = name in {svg: 1, path: 1, line: 1, text: 1, rect: 1}
    ? document.createElementNS(SVG, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

// Replaces a node's text where it changed, so that screen readers stay calm.
function say(id, text) {
  const node = byId(id);
  if (node.textContent !== text) node.textContent = text;
}

// Numbers for people.

function count(value) {
  return Math.round(value).toLocaleString('en');
}

function rate(value) {
  if (value === 0) return '0';
  return value < 10 ? value.toFixed(1) : count(value);
}

function milliseconds(value) {
  if (value === null) return '–';
  if (value < 1) return `${value.toFixed(2)} ms`;
  if (value < 1000) return `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
  return `${(value / 1000).toFixed(1)} s`;
}

function share(part, whole) {
  const percent = 100 * part / whole;
  const near = percent > 0 && percent < 10 || percent > 90 && percent < 100;
  return `${near ? percent.toFixed(1) : Math.round(percent)} %`;
}

function duration(seconds) {
  const units = [['day', 86400], ['hour', 3600], ['minute', 60]];
  for (const [unit, length] of units) {
    const value = Math.floor(seconds / length);
    if (value >= 1) return `${value} ${unit}${value > 1 ? 's' : ''}`;
  }
  return 'less than a minute';
}

function clock(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString('en-GB');
}

// A chart of lines over time, with a cursor for the pointer and the arrow keys.
class Chart {
  static WIDTH = 400;
  static HEIGHT = 100;
  static LAST = 149;  // the index of the newest point, where all are there

  constructor(id, title, format) {
    this.title = title;
    this.format = format;
    this.cursor = null;
    this.svg = element('svg', {viewBox: `0 0 ${Chart.WIDTH} ${Chart.HEIGHT}`,
      preserveAspectRatio: 'none', role: 'img', tabindex: '0'});
    // Texts are no part of what is stretched.
    this.ticks = ['top', 'middle', 'bottom', 'when'].map(where =>
      element('span', {class: `tick ${where}`, 'aria-hidden': 'true'}));
    this.legend = element('p', {class: 'legend'});
    byId(id).append(element('div', {class: 'plot'}, this.svg, ...this.ticks), this.legend);
    this.svg.addEventListener('pointermove', event => {
      const box = this.svg.getBoundingClientRect();
      const x = (event.clientX - box.left) / box.width * Chart.WIDTH;
      this.move(this.indexAt(x));
    });
    this.svg.addEventListener('pointerleave', () => this.move(null));
    this.svg.addEventListener('blur', () => this.move(null));
    this.svg.addEventListener('keydown', event => {
      const step = {ArrowLeft: -1, ArrowRight: 1}[event.key];
      if (step === undefined || this.times.length === 0) return;
      event.preventDefault();
      const last = this.times.length - 1;
      this.move(Math.min(last, Math.max(0, (this.cursor ?? last) + step)));
      say('reading', this.reading);
    });
  }

  // `lines` is [[name, values]]; a value is null where there was nothing.
  show(times, lines) {
    this.times = times;
    this.lines = lines;
    if (this.cursor !== null && this.cursor >= times.length) this.cursor = null;
    this.draw();
  }

  move(cursor) {
    if (cursor === this.cursor) return;
    this.cursor = cursor;
    this.draw();
  }

  // The newest is at the right edge; the span is that of all that is kept.
  x(index) {
    return Chart.WIDTH * (Chart.LAST + 1 - this.times.length + index) / Chart.LAST;
  }

  indexAt(x) {
    const index = Math.round(x / Chart.WIDTH * Chart.LAST) - (Chart.LAST + 1 - this.times.length);
    return index < 0 || index >= this.times.length ? null : index;
  }

  draw() {
    const values = this.lines.flatMap(([, line]) => line).filter(value => value !== null);
    const top = Chart.round(Math.max(0, ...values));
    const y = value => Chart.HEIGHT * (1 - value / top);
    const parts = [];
    for (const value of [0, top / 2, top]) {
      parts.push(
        element('line', {class: 'grid', x1: 0, x2: Chart.WIDTH, y1: y(value), y2: y(value),
          'vector-effect': 'non-scaling-stroke'}));
    }
    this.lines.forEach(([, line], number) => {
      let path = '';
      line.forEach((value, index) => {
        if (value === null) return;
        const connected = index > 0 && line[index - 1] !== null;
        path += `${connected ? 'L' : 'M'}${this.x(index).toFixed(1)} ${y(value).toFixed(1)}`;
        if (!connected && (index + 1 === line.length || line[index + 1] === null)) path += 'h0';
      });
      parts.push(element('path', {class: `line s${number}`, d: path, 'vector-effect': 'non-scaling-stroke'}));
    });
    if (this.cursor !== null) {
      const x = this.x(this.cursor);
      parts.push(element('line', {class: 'cursor', x1: x, x2: x, y1: 0, y2: Chart.HEIGHT,
        'vector-effect': 'non-scaling-stroke'}));
    }
    this.svg.replaceChildren(...parts);
    this.axis(top);
    this.describe();
  }

  axis(top) {
    const when = this.cursor === null ? 'the last five minutes' : `at ${clock(this.times[this.cursor])}`;
    const round = value => this.format(value).replace(/\.0+(?= |$)/, '');
    const texts = [round(top), round(top / 2), '0', when];
    this.ticks.forEach((tick, number) => { tick.textContent = texts[number]; });
  }

  describe() {
    const index = this.cursor ?? this.times.length - 1;
    const at = this.lines.map(([name, line]) => [name, index < 0 ? null : line[index]]);
    this.legend.replaceChildren(...at.map(([name, value], number) => element('span', {},
      element('svg', {viewBox: '0 0 22 8', 'aria-hidden': 'true'},
        element('line', {class: `s${number}`, x1: 0, x2: 22, y1: 4, y2: 4, 'stroke-width': 2})),
      `${name} ${value === null ? '–' : this.format(value)}`)));
    const when = this.cursor === null ? 'now' : `at ${clock(this.times[index])}`;
    this.reading = `${this.title}, ${when}: ` + at.map(([name, value]) =>
      `${name} ${value === null ? 'none' : this.format(value)}`).join(', ');
    this.svg.setAttribute('aria-label', `${this.reading}. Arrow keys go through the last five minutes.`);
  }

  // The least of 1, 2, 5, 10, ... that is not below the value.
  static round(value) {
    if (value <= 0) return 1;
    const power = 10 ** Math.floor(Math.log10(value));
    return [1, 2, 5, 10].find(factor => factor * power >= value) * power;
  }
}

const charts = {
  rate: new Chart('rate-chart', 'Calls per second', rate),
  latency: new Chart('latency-chart', 'Latency', milliseconds),
  batch: new Chart('batch-chart', 'Requests in a batch', value => value.toFixed(value < 10 ? 1 : 0)),
};

// Parts of the page.

function showState(status) {
  const headline = status.ready ? 'Ready' : `Not ready: ${status.state}`;
  byId('state').dataset.state = status.ready ? 'ready' : 'not-ready';
  say('headline', headline);
  say('why', status.why);
  document.title = `${status.ready ? '●' : '○'} ${headline} – userprofile`;
}

function showTraffic(status) {
  const {times, calls, p50_ms, p99_ms, batch} = status.history;
  charts.rate.show(times, Object.entries(calls));
  charts.latency.show(times, [['median', p50_ms], ['99th percentile', p99_ms]]);
  charts.batch.show(times, Object.entries(batch));

  const {all} = status;
  say('rate-now', rate(all.calls));
  say('rate-note', all.calls === 0 ? 'no calls right now'
    : all.failed === 0 ? 'none of them fails' : `${share(all.failed, all.calls)} of them fail`);
  byId('rate-note').classList.toggle('alarm', all.failed > 0);
  say('latency-now', milliseconds(all.p50_ms));
  say('latency-note', all.p99_ms === null ? ''
    : `half take less; 1 in 100 over ${milliseconds(all.p99_ms)}`);
  const sizes = Object.values(status.batch).filter(size => size !== null);
  say('batch-now', sizes.length === 0 ? '–' : Math.max(...sizes).toFixed(1));
  say('batch-note', sizes.length === 0 ? ''
    : `requests share a statement; ${count(status.waiting)} wait`);

  byId('methods').replaceChildren(...status.methods.map(method => element('tr', {},
    element('th', {scope: 'row'}, method.name),
    element('td', {}, rate(method.calls)),
    element('td', method.failed > 0 ? {class: 'alarm'} : {}, rate(method.failed)),
    element('td', {}, milliseconds(method.p50_ms)),
    element('td', {}, milliseconds(method.p99_ms)),
    element('td', {}, count(method.in_flight)))));
}

function showFunnel(status) {
  const {created, returning, onboarded} = status.contacts;
  const {completed} = status.onboardings;
  const contacts = created + returning + onboarded;
  const steps = [
    ['New users', created, Math.max(created, completed)],
    ['Completed onboarding', completed, Math.max(created, completed)],
  ];
  byId('funnel').replaceChildren(...steps.map(([name, value, most]) => element('li', {},
    element('p', {}, element('span', {}, name), element('span', {}, count(value))),
    element('svg', {viewBox: '0 0 100 4', preserveAspectRatio: 'none', 'aria-hidden': 'true'},
      element('rect', {class: 'track', width: 100, height: 4}),
      element('rect', {class: 'bar', width: most === 0 ? 0 : 100 * value / most, height: 4})))));
  say('funnel-note', contacts === 0 ? 'No contact since the start.'
    : `${count(contacts)} contacts: ${share(created, contacts)} of new users, ` +
      `${share(returning, contacts)} of known ones who have not completed onboarding, ` +
      `${share(onboarded, contacts)} of those who have.`);
}

function showSchema(schema) {
  if (schema === null) {
    say('schema-now', '–');
    say('schema-note', 'not looked at yet');
    return;
  }
  const blocking = schema.breaches.filter(breach => breach.severity === 'blocking').length;
  const all = schema.holds.length + schema.breaches.length;
  say('schema-now', blocking > 0 ? 'Broken' : schema.breaches.length > 0 ? 'Holds, but' : 'Holds');
  byId('schema-now').classList.toggle('alarm', blocking > 0);
  say('schema-note', `${schema.holds.length} of ${all} points are as needed`);
  byId('breaches').replaceChildren(...schema.breaches.map(breach => element('li', {class: breach.severity},
    element('p', {}, `${breach.object}: ${breach.found}, expected ${breach.expected} (${breach.severity})`),
    element('p', {class: 'code'}, breach.remedy))));
  byId('holds-details').hidden = schema.holds.length === 0;
  byId('holds').replaceChildren(...schema.holds.map(holding =>
    element('li', {}, element('b', {}, holding.object), ` ${holding.expected}`)));
}

function showFailures(failures) {
  byId('failures-none').hidden = failures.length > 0;
  byId('failures-region').hidden = failures.length === 0;
  byId('failures').replaceChildren(...failures.map(failure => element('tr', {},
    element('td', {class: 'left'}, clock(failure.time)),
    element('td', {class: 'left'}, failure.method),
    element('td', {class: 'left code'}, failure.code === 'OK' ? 'OK, but slow' : failure.code),
    element('td', {class: 'left code'}, failure.reason),
    element('td', {class: 'left'}, failure.caller),
    element('td', {}, milliseconds(failure.duration_ms)),
    element('td', {class: 'left code'}, failure.trace_id))));
}

function show(status) {
  say('version', status.version);
  say('uptime', `Running for ${duration(status.now - status.started)}`);
  showState(status);
  showTraffic(status);
  showFunnel(status);
  showSchema(status.schema);
  showFailures(status.failures);
}

// Asking.

let paused = false;
let answered = null;

async function refresh() {
  try {
    const response = await fetch('/status.json', {cache: 'no-store', signal: AbortSignal.timeout(5000)});
    if (!response.ok) throw new Error(`status ${response.status}`);
    const status = await response.json();
    if (paused) return;
    show(status);
    answered = status.now;
    say('updated', `As of ${clock(status.now)}`);
  } catch (error) {
    byId('state').dataset.state = 'unknown';
    say('headline', 'No answer from the server');
    say('why', answered === null ? '' : `What is below is as of ${clock(answered)}.`);
    document.title = '? userprofile';
    console.warn(error);
  }
}

async function run() {
  if (!paused && !document.hidden) await refresh();
  setTimeout(run, PERIOD);
}

byId('pause').addEventListener('click', event => {
  paused = !paused;
  event.target.setAttribute('aria-pressed', String(paused));
  event.target.textContent = paused ? 'Go on' : 'Pause';
  if (paused) say('updated', 'Paused');
  else refresh();
});

run();
