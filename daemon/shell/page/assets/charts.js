/* The drawings: equity, drawdown, price with fills, denials. Colours come from the style sheet, times are UTC. */
"use strict";

const Charts = (() => {
  const UTC = (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC");
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const short = (value) =>
    value === null || value === undefined || value === "" || Number.isNaN(Number(value))
      ? "–" : Number(value).toLocaleString("en", { maximumSignificantDigits: 7 });
  const clock = (seconds) => new Date(seconds * 1000).toISOString().slice(11, 19);
  const figure = (value, digits = 8) =>
    value === null || value === undefined || value === "" || Number.isNaN(Number(value))
      ? "–" : Number(value).toLocaleString("en", { maximumFractionDigits: digits });
  const GAP_S = 300;
  const drawn = new Map();

  function axes(unit) {
    const grid = { stroke: colour("--line"), width: 1 };
    const font = "12px system-ui, sans-serif";
    const common = { stroke: colour("--quiet"), grid, ticks: grid, font };
    const times = (_, splits) => splits.map((at, i) => {
      const text = clock(at);
      const isWide = splits.length > 1 && splits[1] - splits[0] < 60;
      return i === 0 || !isWide ? text.slice(0, isWide ? 8 : 5) : text;
    });
    return [
      { ...common, values: times, space: 70 },
      { ...common, size: 78, label: unit, labelSize: unit ? 16 : 0, labelFont: font,
        values: (_, splits) => splits.map((one) => figure(one)) },
    ];
  }

  /* Draw into a place, or put new data into what is drawn there; `null` says that there is nothing yet. */
  function draw(id, key, options, data, nothing) {
    const place = document.getElementById(id);
    const before = drawn.get(id);
    if (data === null) {
      if (before) before.plot.destroy();
      drawn.delete(id);
      place.classList.add("empty");
      place.textContent = nothing;
      return;
    }
    const width = Math.max(place.clientWidth, 200);
    if (before && before.key === key) {
      before.plot.setData(data);
      return;
    }
    if (before) before.plot.destroy();
    place.classList.remove("empty");
    place.textContent = "";
    const all = { width, legend: { show: false }, tzDate: UTC, cursor: { y: false, drag: { x: false, y: false } },
      padding: [8, 26, 0, 0], ...options() };
    drawn.set(id, { key, plot: new uPlot(all, data, place) });
  }

  function resized() {
    for (const [id, { plot }] of drawn) {
      const width = Math.max(document.getElementById(id).clientWidth, 200);
      if (width !== plot.width) plot.setSize({ width, height: plot.height });
    }
  }

  function forget() {
    for (const { plot } of drawn.values()) plot.destroy();
    drawn.clear();
  }

  /* Some room above and below, and never a range of nothing. */
  function around(low, high) {
    if (low === null || high === null) return [0, 1];
    const edge = (high - low) * 0.08 || Math.abs(high) * 0.001 || 1;
    return [low - edge, high + edge];
  }

  function equity(samples, unit, tell) {
    const known = samples.filter((one) => one.equity !== null);
    if (!known.length) {
      draw("equity", "", null, null, "No equity is known yet.");
      draw("drawdown", "", null, null, "No drawdown is known yet.");
      return;
    }
    const times = known.map((one) => one.t), values = known.map((one) => Number(one.equity));
    const fallen = known.map((one) => (one.drawdown === null ? null : -Number(one.drawdown)));
    const hooks = { setCursor: [(plot) => {
      const at = plot.cursor.idx;
      tell(at === null || at === undefined ? "" : `${clock(times[at])} UTC: equity ${figure(values[at])}, ${figure(fallen[at] === null ? null : -fallen[at])} below the peak`);
    }] };
    const sync = { key: "equity" };
    draw("equity", `e${unit}`, () => ({
      height: 200, axes: axes(unit), cursor: { y: false, drag: { x: false }, sync }, hooks,
      scales: { y: { range: (_, low, high) => around(low, high) } },
      series: [{}, { stroke: colour("--s1"), width: 2, points: { show: false } }],
    }), [times, values]);
    draw("drawdown", `d${unit}`, () => ({
      height: 130, axes: axes(unit), cursor: { y: false, drag: { x: false }, sync },
      scales: { y: { range: (_, low) => [Math.min(low ?? 0, 0) * 1.1 || -1, 0] } },
      series: [{}, { stroke: colour("--bad"), fill: `${colour("--bad")}33`, width: 1.5, points: { show: false } }],
    }), [times, fallen]);
    document.getElementById("equity").setAttribute("aria-label",
      `Equity over time, from ${figure(values[0])} at ${clock(times[0])} to ${figure(values.at(-1))} at ${clock(times.at(-1))} UTC`);
    document.getElementById("drawdown").setAttribute("aria-label",
      `Drawdown over time, at most ${figure(Math.max(...fallen.map((one) => -(one ?? 0))))}, now ${figure(-(fallen.at(-1) ?? 0))}`);
  }

  function triangles(fills) {
    return (plot) => {
      const { ctx } = plot;
      const size = 7 * devicePixelRatio;
      ctx.save();
      ctx.beginPath();
      ctx.rect(plot.bbox.left, plot.bbox.top, plot.bbox.width, plot.bbox.height);
      ctx.clip();
      for (const one of fills()) {
        const x = plot.valToPos(one.t, "x", true), y = plot.valToPos(Number(one.price), "y", true);
        const up = one.side === "BUY" ? 1 : -1;
        ctx.beginPath();
        ctx.moveTo(x, y - up * size);
        ctx.lineTo(x + size * 0.8, y + up * size * 0.6);
        ctx.lineTo(x - size * 0.8, y + up * size * 0.6);
        ctx.closePath();
        ctx.fillStyle = colour(up > 0 ? "--good" : "--bad");
        ctx.fill();
        ctx.lineWidth = devicePixelRatio;
        ctx.strokeStyle = colour("--panel");
        ctx.stroke();
      }
      ctx.restore();
    };
  }

  let shownFills = [];
  function price(symbol, samples, fills, tell) {
    const since = samples.length ? samples[0].t - 7200 : 0;
    shownFills = fills.filter((one) => one.symbol === symbol && one.t >= since);
    const points = samples.filter((one) => one.prices[symbol] !== undefined && one.prices[symbol] !== null)
      .map((one) => [one.t, Number(one.prices[symbol])]);
    for (const one of shownFills) points.push([one.t, Number(one.price)]);
    if (!points.length) {
      draw("price", "", null, null, "No price is known yet.");
      return;
    }
    points.sort((a, b) => a[0] - b[0]);
    const times = [], values = [];
    for (const [at, value] of points) {
      if (times.length && at - times.at(-1) > GAP_S) { times.push(times.at(-1) + 1); values.push(null); }
      times.push(at); values.push(value);
    }
    draw("price", symbol, () => ({
      height: 300, axes: axes(""),
      scales: { y: { range: (_, low, high) => around(low, high) } },
      series: [{}, { stroke: colour("--s1"), width: 1.5, points: { show: false } }],
      hooks: { draw: [triangles(() => shownFills)], setCursor: [(plot) => {
        const at = plot.cursor.idx;
        tell(at === null || at === undefined ? "" : `· ${clock(plot.data[0][at])} UTC: ${figure(plot.data[1][at])}`);
      }] },
    }), [times, values]);
    document.getElementById("price").setAttribute("aria-label",
      `Price of ${symbol}, last ${figure(values.at(-1))}, with ${shownFills.length} fills; they are listed in the table below`);
  }

  const REASONS = 6;
  function denials(minutes, now, counts, showLegend) {
    const width = minutes > 60 ? 15 : 1, last = Math.floor(now / 60), first = last - minutes + 1;
    const totals = new Map();
    for (const [minute, reason, count] of counts) {
      if (minute >= first) totals.set(reason, (totals.get(reason) || 0) + count);
    }
    if (!totals.size) {
      draw("denials", "", null, null, minutes > 60 ? "No denial in the last day." : "No denial in the last hour.");
      showLegend([]);
      return;
    }
    const order = [...totals].sort((a, b) => b[1] - a[1]).map(([name]) => name);
    const named = order.length > REASONS ? [...order.slice(0, REASONS - 1), "others"] : order;
    const slots = Math.ceil(minutes / width), begin = Math.floor(first / width) * width;
    const times = Array.from({ length: slots + 1 }, (_, i) => (begin + i * width) * 60);
    const rows = named.map(() => new Array(times.length).fill(0));
    for (const [minute, reason, count] of counts) {
      const slot = Math.floor((minute - begin) / width);
      if (slot < 0 || slot >= times.length) continue;
      const row = named.indexOf(reason);
      rows[row < 0 ? named.length - 1 : row][slot] += count;
    }
    for (let row = rows.length - 2; row >= 0; row -= 1) {
      rows[row] = rows[row].map((count, slot) => count + rows[row + 1][slot]);
    }
    const bars = uPlot.paths.bars({ size: [0.85, 24] });
    draw("denials", `${minutes}/${named.join("/")}`, () => ({
      height: 200, axes: axes("denials"),
      scales: { y: { range: (_, low, high) => [0, Math.max((high || 1) * 1.1, 4)] } },
      series: [{}, ...named.map((_, i) => ({ fill: colour(`--s${i + 1}`), stroke: colour("--panel"), width: 0.5, paths: bars, points: { show: false } }))],
    }), [times, ...rows]);
    const told = named.map((name) => [name, name === "others"
      ? order.slice(REASONS - 1).reduce((sum, one) => sum + totals.get(one), 0) : totals.get(name)]);
    showLegend(told);
    document.getElementById("denials").setAttribute("aria-label",
      `Denials in the last ${minutes > 60 ? "day" : "hour"}: ${told.map(([name, count]) => `${name} ${count}`).join(", ")}`);
  }

  return { equity, price, denials, resized, forget, figure, short, clock };
})();
