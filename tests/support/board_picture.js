/* Draws BOARD (panels with their series) at the board's own places. A picture of data, not a copy of Grafana. */
"use strict";

const PALETTE = ["#2F6690", "#2E7D5B", "#C98A1B", "#B3362B", "#6B4E9B", "#3A8F8F", "#A0527A", "#7A7A2E"];
const STEP = 1400 / 24, HIGH = 36, GAP = 6;

const style = document.createElement("style");
style.textContent = `
  body { margin: 0; background: #f4f5f5; font: 12px system-ui, sans-serif; color: #24292e; position: relative; }
  header { padding: 10px 14px; font-size: 14px; } header strong { font-size: 18px; }
  main { position: relative; }
  .panel { position: absolute; box-sizing: border-box; background: #fff; border: 1px solid #dfe1e3; border-radius: 3px; padding: 6px 8px; overflow: hidden; }
  .panel h2 { font-size: 12.5px; font-weight: 600; margin: 0 0 3px; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
  .row { position: absolute; font-size: 15px; font-weight: 600; padding: 8px 4px 0; }
  .stat { color: #fff; text-align: center; border: 0; } .stat b { display: block; font-size: 27px; margin-top: 24px; }
  .bar { display: grid; grid-template-columns: 40% 1fr 62px; gap: 6px; align-items: center; height: 19px; }
  .bar span { white-space: nowrap; overflow: hidden; text-overflow: ellipsis; text-align: right; }
  .bar i { background: #e8eaec; height: 11px; display: block; } .bar i u { display: block; height: 11px; }
  table { border-collapse: collapse; width: 100%; font-size: 11px; } td { padding: 0 4px 0 0; white-space: nowrap; }
  td:nth-child(n+2) { text-align: right; } td s { display: inline-block; width: 12px; height: 3px; margin-right: 5px; vertical-align: middle; }
  .none { color: #8a9199; text-align: center; padding-top: 40px; }`;
document.head.append(style);

function el(name, parent, text, cls) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (cls) made.className = cls;
  parent.append(made);
  return made;
}

function shown(value, unit) {
  const most = (digits) => Number(value.toPrecision(digits)).toLocaleString("en", { maximumSignificantDigits: digits });
  if (unit === "percentunit") return `${(value * 100).toFixed(1)}%`;
  if (unit === "bool_yes_no") return value ? "Yes" : "No";
  if (unit === "ops") return `${most(3)}/s`;
  if (unit === "s") {
    const a = Math.abs(value);
    if (a && a < 0.001) return `${most3(value * 1e6)} µs`;
    if (a && a < 1) return `${most3(value * 1e3)} ms`;
    return a >= 3600 ? `${most3(value / 3600)} h` : a >= 60 ? `${most3(value / 60)} min` : `${most3(value)} s`;
  }
  if (unit === "bytes") {
    const at = value ? Math.min(4, Math.floor(Math.log(Math.abs(value)) / Math.log(1024))) : 0;
    return `${most3(value / 1024 ** Math.max(at, 0))} ${["B", "KiB", "MiB", "GiB", "TiB"][Math.max(at, 0)]}`;
  }
  return most(5);
}
const most3 = (value) => Number(value.toPrecision(3)).toLocaleString("en");

function ground(panel, name, value) {
  for (const one of panel.fieldConfig.overrides || []) {
    if (one.matcher.options === name) {
      for (const p of one.properties) if (p.id === "color") return p.value.fixedColor;
    }
  }
  let colour = "#2F6690";
  for (const step of panel.fieldConfig.defaults.thresholds.steps) if (step.value === null || value >= step.value) colour = step.color;
  return colour;
}

function words(panel, value) {
  for (const one of panel.fieldConfig.defaults.mappings || []) {
    const told = (one.options || {})[String(value)];
    if (told && told.text) return told.text;
  }
  return shown(value, panel.fieldConfig.defaults.unit);
}

function stat(box, panel, series) {
  const [name, values] = Object.entries(series).reduce((a, b) => (!a || b[1].at(-1)[0] > a[1].at(-1)[0] ? b : a), null) || ["", [[0, NaN]]];
  const value = values.at(-1)[1];
  box.classList.add("stat");
  box.style.background = ground(panel, name, value);
  el("b", box, panel.options.textMode === "name" ? name : words(panel, value));
}

function bars(box, panel, series) {
  const rows = Object.entries(series).map(([name, values]) => [name, values.at(-1)[1]]).sort((a, b) => b[1] - a[1]);
  const space = Math.floor((box.clientHeight - 26) / 19);
  for (const [name, value] of rows.slice(0, space)) {
    const row = el("div", box, undefined, "bar");
    el("span", row, name);
    const full = el("u", el("i", row));
    full.style.width = `${Math.min(Math.max(value, 0), 1) * 100}%`;
    full.style.background = ground(panel, name, value);
    el("span", row, shown(value, panel.fieldConfig.defaults.unit));
  }
}

function graph(box, panel, series) {
  const names = Object.keys(series), unit = panel.fieldConfig.defaults.unit;
  const custom = panel.fieldConfig.defaults.custom, stacked = custom.stacking.mode === "normal";
  const times = [...new Set(names.flatMap((name) => series[name].map(([t]) => Math.round(t))))].sort((a, b) => a - b);
  const columns = names.map((name) => {
    const known = new Map(series[name].map(([t, v]) => [Math.round(t), v]));
    return times.map((t) => (known.has(t) ? known.get(t) : null));
  });
  const drawn = columns.map((column) => [...column]);
  if (stacked) for (let i = 1; i < drawn.length; i += 1) drawn[i] = drawn[i].map((v, at) => (v ?? 0) + (drawn[i - 1][at] ?? 0));
  const place = el("div", box), listed = Math.min(names.length, 5);
  const height = box.clientHeight - 34 - (listed + 1) * 15 - (names.length > listed ? 15 : 0);
  const font = "10px system-ui, sans-serif", common = { font, stroke: "#5b6570", grid: { stroke: "#eceef0", width: 1 }, ticks: { show: false } };
  const flat = drawn.flat().filter((v) => v !== null), low = Math.min(...flat), high = Math.max(...flat);
  const edge = (high - low) * 0.08 || Math.abs(high) * 0.05 || 1;
  new uPlot({
    width: box.clientWidth - 16, height, legend: { show: false }, cursor: { show: false }, padding: [6, 8, 0, 0],
    tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "Etc/UTC"),
    scales: { y: { range: [low >= 0 && low < high / 2 ? 0 : low - edge, high + edge] } },
    axes: [{ ...common, size: 20, space: 60, values: (_, s) => s.map((at) => new Date(at * 1000).toISOString().slice(11, 19)) },
      { ...common, size: 62, space: 28, values: (_, s) => s.map((v) => shown(v, unit)) }],
    series: [{}, ...names.map((_, i) => ({ stroke: PALETTE[i % 8], width: 1.5, points: { show: false },
      fill: stacked && i === 0 ? `${PALETTE[i % 8]}40` : undefined }))],
  }, [times, ...drawn], place);
  const table = el("table", box), head = el("tr", table);
  for (const text of ["", "last", "max"]) el("td", head, text);
  names.slice(0, listed).forEach((name, i) => {
    const row = el("tr", table), cell = el("td", row);
    el("s", cell).style.background = PALETTE[i % 8];
    cell.append(name);
    const values = series[name].map(([, v]) => v);
    for (const v of [values.at(-1), Math.max(...values)]) el("td", row, shown(v, unit));
  });
  if (names.length > listed) el("td", el("tr", table), `and ${names.length - listed} more`);
}

const top_ = el("header", document.body);
el("strong", top_, "seatrial");
top_.append(` · ${BOARD.told}`);
const main = el("main", document.body);
let end = 0;
for (const { panel, series } of BOARD.panels) {
  const { x, y, w, h } = panel.gridPos;
  const box = el("section", main, undefined, panel.type === "row" ? "row" : "panel");
  Object.assign(box.style, { left: `${x * STEP + GAP / 2}px`, top: `${y * HIGH}px`, width: `${w * STEP - GAP}px`, height: `${h * HIGH - GAP}px` });
  end = Math.max(end, (y + h) * HIGH);
  el(panel.type === "row" ? "div" : "h2", box, panel.title);
  if (panel.type === "row") continue;
  if (!Object.keys(series).length) el("p", box, "no data in this run", "none");
  else ({ stat, bargauge: bars, timeseries: graph })[panel.type](box, panel, series);
}
main.style.height = `${end + 6}px`;
document.body.dataset.drawn = "yes";
