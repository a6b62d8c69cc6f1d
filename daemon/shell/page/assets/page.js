/* Puts the daemon's frames into the document. Every text goes in as text; nothing is ever parsed as markup. */
"use strict";

const seen = { samples: [], fills: new Map(), denials: new Map(), incidents: new Map(), sessions: [], strategies: [],
  symbols: [], symbol: "", minutes: 60, frame: null, heard: 0, marks: "", spoken: "" };
const at = (id) => document.getElementById(id);
const figure = Charts.figure;
const OLD_MS = 4000, FILLS_KEPT = 500, SAMPLES_KEPT = 7200, FILLS_LISTED = 15, CAPS_FIRST = 8, RETRY_MS = 5000;

function el(tag, options = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(options)) {
    if (value !== undefined && value !== null && value !== false) made.setAttribute(name, value);
  }
  for (const child of children) {
    if (child !== null && child !== undefined) made.append(child);
  }
  return made;
}

/* Replace what is in a place, unless it would be the same: a reader's place and focus stay. */
const shown = new Map();
function put(id, value, make) {
  const key = JSON.stringify(value);
  if (shown.get(id) === key) return;
  shown.set(id, key);
  at(id).replaceChildren(...make(value));
}

function words(id, text, tone) {
  const place = at(id);
  if (place.textContent !== text) place.textContent = text;
  if (tone !== undefined) {
    place.classList.remove("good", "bad", "warning", "calm");
    if (tone) place.classList.add(tone);
  }
}

function table(id, columns, rows, none) {
  put(id, rows, () => {
    /* The roles say what it is also where the style sheet makes cards of the rows. */
    const row = (...cells) => el("tr", { role: "row" }, ...cells);
    const part = (tag, ...rows_) => el(tag, { role: "rowgroup" }, ...rows_);
    at(id).setAttribute("role", "table");
    if (!rows.length) return [part("tbody", row(el("td", { class: "none", role: "cell" }, none)))];
    const head = row(...columns.map(([name, kind]) => el("th", { scope: "col", role: "columnheader", class: kind }, name)));
    const body = rows.map((cells) => row(...cells.map((cell, i) => (i
      ? el("td", { class: columns[i][1], role: "cell", "data-name": columns[i][0] }, ...inside(cell))
      : el("th", { scope: "row", role: "rowheader", class: columns[i][1] }, ...inside(cell))))));
    return [part("thead", head), part("tbody", ...body)];
  });
}

/* A cell is a value, a link {text, href}, or a command {text, code}. */
function inside(cell) {
  if (cell === null || typeof cell !== "object") return [String(cell ?? "")];
  return cell.href ? [el("a", { href: cell.href }, cell.text)] : [cell.text, el("code", { class: "next" }, cell.code)];
}

function span(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const whole = Math.floor(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

const utc = (ms) => (ms ? `${new Date(ms).toISOString().slice(0, 19).replace("T", " ")} UTC` : "");
const local = (ms) => (ms ? new Date(ms).toLocaleTimeString([], { hour12: false }) : "");
const owner = (name) => (name ? (name.startsWith("bot:") ? `bot ${name.slice(4)}` : name) : "before this boot");

// ------------------------------------------------------------------ the parts

function showTop(frame) {
  const { state, counts } = frame;
  const trading = state.latched ? "KILLED" : state.trading_state || "?";
  const tone = { ACTIVE: "good", REDUCING: "warning", HALTED: "calm", KILLED: "bad" }[trading] || "";
  words("state", trading, tone);
  words("gate", `gate ${state.gate_state || "?"}`, state.gate_state === "READY" ? "good" : "bad");
  const where = state.environment === state.mode ? state.environment : `${state.environment} (${state.mode})`;
  words("where", `${where} · ${state.instance || ""} · seatrial ${state.version || ""}`);
  const session = state.session_id ? `session ${state.session_id} for ${span((state.session_age_ms || 0) / 1000)}` : "no session";
  words("session", `${session} · up ${span(state.uptime_s)}${state.ending ? ` · ending: ${state.ending}` : ""}`);
  document.title = `${trading} · seatrial ${state.environment || ""}`;
  const alarms = frame.alarms.map((one) => [one.level, one.what, one.next]);
  put("alarms", alarms, () => alarms.map(([level, what, next]) => el("li", { class: `alarm ${level}` },
    el("strong", {}, what), next ? el("code", { class: "next" }, next) : null)));
  const said = `${trading}, gate ${state.gate_state}. ${alarms.map((one) => one[1]).join(" ")}`;
  if (said !== seen.spoken) { seen.spoken = said; at("spoken").textContent = said; }
  const equity = frame.equity, unit = equity.numeraire || "";
  words("numeraire", unit);
  const tiles = [["equity", figure(equity.equity, 4)], ["drawdown", figure(equity.drawdown, 4)],
    ["realised", figure(equity.realised, 4)], ["unrealised", figure(equity.unrealised, 4)], ["fees", figure(equity.fees, 4)],
    ["open orders", counts.open], ["unknown", counts.unknown], ["sent, this session", counts.orders], ["fills, this session", counts.fills],
    ["denied, this session", counts.denied]];
  put("tiles", tiles, () => tiles.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, String(value ?? "–")))));
}

function showCaps(caps) {
  const order = caps.map((one, i) => [one, i]).sort((a, b) => (b[0].share ?? -1) - (a[0].share ?? -1) || a[1] - b[1]).map(([one]) => one);
  put("caps", order.slice(0, CAPS_FIRST), (some) => (some.length ? some.map(capBar) : [el("p", { class: "none" }, "No cap is in use.")]));
  put("caps-rest", order.slice(CAPS_FIRST), (some) => (some.length ? some.map(capBar) : [el("p", { class: "none" }, "There is no other.")]));
}

function capBar(one) {
  const share = one.share === null ? null : Math.min(one.share, 1), percent = share === null ? "?" : `${Math.round(one.share * 100)} %`;
  const tone = share === null ? "" : share >= 0.9 ? "bad" : share >= 0.7 ? "warning" : "good";
  const name = `${one.bot ? `bot ${one.bot}: ` : ""}${one.cap}${one.symbol ? ` ${one.symbol}` : ""}`;
  return el("div", { class: `cap ${tone}` }, el("span", { class: "name" }, name), el("span", { class: "left" }, percent),
    el("progress", { max: "1", value: share === null ? undefined : String(share), "aria-label": `${name}: ${percent} used` }),
    el("span", { class: "quiet" }, `${Charts.short(one.used)} of ${Charts.short(one.limit)} ${one.unit || ""}`),
    el("span", { class: "left" }, `${Charts.short(one.headroom)} left`));
}

function showOrders(frame) {
  const rest = frame.counts.open - frame.open_orders.length;
  words("orders-count", `${frame.counts.open}${rest > 0 ? `, the oldest ${frame.open_orders.length} shown` : ""}`);
  table("orders", [["symbol", ""], ["side", ""], ["filled of", "number"], ["price", "number"], ["status", ""], ["of", ""], ["order", "words"]],
    frame.open_orders.map((one) => [one.symbol, one.side, `${figure(one.cum_qty)} / ${figure(one.qty)}`, one.price === null ? one.order_type : figure(one.price),
      one.status.replace("_", " ").toLowerCase(), owner(one.strategy_id), one.client_order_id]), "No order is open.");
  table("positions", [["symbol", ""], ["quantity", "number"], ["average price", "number"], ["realised", "number"], ["best bid", "number"], ["best ask", "number"]],
    Object.entries(frame.positions).map(([symbol, one]) => {
      const top = frame.market[symbol] || {};
      return [symbol, figure(one.qty), figure(one.avg_px, 4), figure(one.realised_pnl, 4), figure(top.bid), figure(top.ask)];
    }), "No position.");
}

function showIncidents() {
  const told = [...seen.incidents.values()].sort((a, b) => (b.opened_ms || 0) - (a.opened_ms || 0));
  put("incidents", told, () => told.length ? told.map((one) => {
    const resolved = Boolean(one.resolved_by);
    return el("li", { class: resolved ? "good" : "bad" },
      el("span", { class: "word" }, resolved ? "resolved" : "OPEN"), " ",
      el("time", { datetime: one.opened_ms ? new Date(one.opened_ms).toISOString() : undefined }, `${utc(one.opened_ms)} (${local(one.opened_ms)} here)`),
      el("div", { class: "what" }, one.what || one.trigger),
      el("div", { class: "quiet" }, `${one.trigger}${one.symbol ? ` · ${one.symbol}` : ""}${one.why ? ` · ${one.why}` : ""}`),
      resolved ? el("div", { class: "quiet" }, `by ${one.resolved_by}${one.resolved_ms ? `, ${utc(one.resolved_ms)}` : ""}`)
        : el("div", {}, "next: ", el("code", { class: "next" }, one.next)));
  }) : [el("li", { class: "good" }, "None.")]);
}

function showOwners(frame) {
  const count = (all, of) => all.filter((one) => (one.strategy_id || "") === of).length;
  table("strategies", [["strategy", ""], ["open", "number"], ["approved", "number"], ["denied", "number"], ["fills", "number"], ["turnover in the quote asset", ""], ["errors", "number"], ["last", ""]],
    seen.strategies.map((one) => [owner(one.name), count(frame.open_orders, one.name), one.approved, one.denied, one.fills,
      Object.entries(one.turnover).map(([symbol, sum]) => `${symbol} ${figure(sum, 2)}`).join(", "), one.errors, one.last_ms ? Charts.clock(one.last_ms / 1000) : "–"]),
    "No strategy has wished for anything yet.");
  table("bots", [["bot", ""], ["state", ""], ["open", "number"], ["orders", "number"], ["fills", "number"], ["denied or refused", "number"], ["throttled", "number"], ["longest silence", "number"], ["why", "words"]],
    frame.bots.map((one) => [one.name, one.state, one.open_orders, one.orders, one.fills, one.denied, one.throttled ?? "–",
      one.silence_s === null || one.silence_s === undefined ? "–" : span(one.silence_s), one.reason || ""]), "No bot is configured.");
}

function showHealth(frame) {
  const { health } = frame, ms = (value) => (value === null || value === undefined ? "–" : `${(value * 1000).toFixed(1)} ms`);
  const links = Object.entries(health.links).map(([name, up]) => `${name} ${(up && up.up !== undefined ? up.up : up) ? "up" : "DOWN"}`).join(", ");
  const pairs = [["links", links || "–"], ["reconciled", health.reconciled_ms === null || health.reconciled_ms === undefined ? "never" : `${span(health.reconciled_ms / 1000)} ago`],
    ["market data", Object.entries(frame.market).map(([symbol, top]) => `${symbol} ${figure((top.age_ms || 0) / 1000, 1)} s old`).join(", ") || "–"],
    ["main loop lag", `${ms(health.loop_lag_s)} now, at most ${ms(health.loop_lag_max_s)} since boot`], ["last input waited", ms(health.queue_age_s)],
    ["clock, venue less ours", ms(health.clock_offset_s)],
    ["journal", `line ${figure(health.journal_seq)}${health.journal_bytes ? `, ${figure(health.journal_bytes / 1e6, 1)} MB` : ""}`],
    ["disk left", health.disk_free_bytes ? `${figure(health.disk_free_bytes / 1e9, 1)} GB` : "–"], ["dead man's switch", health.dead_mans_switch || "–"],
    ["problems", health.problems.join("; ") || "none"]];
  put("health", pairs, () => pairs.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}

function showSessions() {
  table("sessions", [["session", ""], ["began", ""], ["ended", ""], ["orders", "number"], ["fills", "number"], ["why it began, and ended", "words"], ["verdict", "words"]],
    seen.sessions.map((one) => [one.session_id, utc(one.started_ms), one.stopped_ms ? utc(one.stopped_ms) : "", one.orders ?? "", one.fills ?? "",
      [one.reason, one.why_stopped].filter(Boolean).join(" · "),
      one.report ? { text: `${one.report.verdict}: report`, href: one.report.href } : { text: "no report yet: ", code: one.make }]),
    "No session yet.");
}

function showSymbols() {
  if (!seen.symbols.includes(seen.symbol)) seen.symbol = seen.symbols[0] || "";
  put("symbols", [seen.symbols, seen.symbol], () => seen.symbols.map((name) => {
    const button = el("button", { type: "button", "aria-pressed": String(name === seen.symbol) }, name);
    button.addEventListener("click", () => {
      seen.symbol = name;
      showSymbols();
      showCharts();
      [...at("symbols").children].find((one) => one.textContent === name)?.focus();
    });
    return button;
  }));
}

function showCharts() {
  const unit = seen.frame ? seen.frame.equity.numeraire || "" : "";
  Charts.equity(seen.samples, unit, (text) => words("equity-readout", text));
  const fills = [...seen.fills.values()].sort((a, b) => a.number - b.number);
  showSymbols();
  Charts.price(seen.symbol, seen.samples, fills, (text) => words("price-readout", text));
  table("fills", [["time, UTC", ""], ["symbol", ""], ["side", ""], ["quantity", "number"], ["price", "number"], ["of", ""], ["order", ""]],
    fills.slice(-FILLS_LISTED).reverse().map((one) => [Charts.clock(one.t), one.symbol, one.side, figure(one.qty), figure(one.price), owner(one.strategy), one.order]),
    "No fill yet.");
  const counts = [...seen.denials.values()], now = seen.frame ? seen.frame.now_ms / 1000 : Date.now() / 1000;
  Charts.denials(seen.minutes, now, counts, (told) => {
    const total = told.reduce((sum, [, count]) => sum + count, 0);
    words("denials-total", `${total} in the last ${seen.minutes > 60 ? "24 h" : "hour"}, all sessions`);
    put("denial-legend", told, () => told.map(([name, count], i) =>
      el("li", {}, el("span", { class: `k${i + 1}`, "aria-hidden": "true" }), `${name} ${count}`)));
  });
}

// ------------------------------------------------------------------ what arrives

function takeFills(rows) {
  for (const [number, ms, symbol, side, qty, price, strategy, order] of rows) {
    seen.fills.set(number, { number, t: ms / 1000, symbol, side, qty, price, strategy, order });
    if (seen.fills.size > FILLS_KEPT) seen.fills.delete(seen.fills.keys().next().value);
  }
}

function takeSample(row, symbols) {
  if (!row || (seen.samples.length && row[0] / 1000 <= seen.samples.at(-1).t)) return;
  const prices = Object.fromEntries(symbols.map((name, i) => [name, row[3 + i]]));
  seen.samples.push({ t: row[0] / 1000, equity: row[1], drawdown: row[2], prices });
  if (seen.samples.length > SAMPLES_KEPT) seen.samples.shift();
  for (const name of symbols) if (!seen.symbols.includes(name)) seen.symbols.push(name);
}

function takeDenials(rows) {
  for (const row of rows) seen.denials.set(`${row[0]} ${row[1]}`, row);
}

async function takeHistory() {
  const answer = await fetch("/page/history");
  if (!answer.ok) return;
  const told = await answer.json();
  const later = seen.samples;
  seen.samples = [];
  seen.denials.clear();
  for (const row of told.samples) takeSample(row, told.symbols);
  for (const one of later) if (!seen.samples.length || one.t > seen.samples.at(-1).t) seen.samples.push(one);
  takeFills(told.fills);
  takeDenials(told.denials);
  for (const one of told.incidents) if (!seen.incidents.has(one.incident_id)) seen.incidents.set(one.incident_id, one);
  seen.sessions = told.sessions;
  seen.strategies = told.strategies;
  showSessions();
  showIncidents();
  showCharts();
}

function takeFrame(frame) {
  seen.frame = frame;
  seen.heard = performance.now();
  document.body.classList.remove("old");
  const { recent } = frame;
  takeSample(recent.sample, recent.symbols);
  takeFills(recent.fills);
  takeDenials(recent.denials);
  for (const one of frame.incidents) seen.incidents.set(one.incident_id, { ...seen.incidents.get(one.incident_id), ...one });
  seen.strategies = recent.strategies;
  showTop(frame);
  showCaps(frame.caps);
  showOrders(frame);
  showIncidents();
  showOwners(frame);
  showHealth(frame);
  showCharts();
  const marks = `${recent.incidents_seen}/${recent.sessions_seen}/${frame.state.run_id}`;
  if (marks !== seen.marks) {
    seen.marks = marks;
    takeHistory().catch(() => { seen.marks = ""; });
  }
}

/* A browser has six connections to one host: a page that nobody sees gives its own back. */
let source = null;
function listen() {
  if (source || document.hidden) return;
  source = new EventSource("/page/live");
  source.onopen = () => { seen.marks = ""; };
  source.onmessage = (event) => takeFrame(JSON.parse(event.data));
  source.onerror = () => {
    seen.heard = -Infinity; // the connection is gone: what is shown is old from now on
    tick();
    if (source && source.readyState === EventSource.CLOSED) {
      source = null;
      setTimeout(listen, RETRY_MS);
    }
  };
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden && source) {
    source.close();
    source = null;
  } else if (!document.hidden) {
    seen.heard = performance.now();
    listen();
  }
});

function tick() {
  const now = new Date();
  words("clock", `${now.toISOString().slice(11, 19)} UTC · ${now.toLocaleTimeString([], { hour12: false })} here`);
  if (document.hidden || performance.now() - seen.heard < OLD_MS) return;
  document.body.classList.add("old");
  words("state", "NO ANSWER", "bad");
  const last = seen.frame && seen.frame.state;
  words("gate", last ? `last heard: ${last.latched ? "KILLED" : last.trading_state}, gate ${last.gate_state}` : "", "");
  document.title = "NO ANSWER · seatrial";
  const what = seen.frame ? "The daemon has not been heard; what is shown is old." : "The daemon does not answer.";
  put("alarms", [what], () => [el("li", { class: "alarm bad" }, el("strong", {}, what), el("code", { class: "next" }, "seatrial kill --direct --reason …"))]);
  if (seen.spoken !== what) { seen.spoken = what; at("spoken").textContent = what; }
}

at("spans").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  seen.minutes = Number(button.dataset.minutes);
  for (const one of at("spans").children) one.setAttribute("aria-pressed", String(one === button));
  showCharts();
});
new ResizeObserver(() => Charts.resized()).observe(at("main"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { Charts.forget(); showCharts(); });
seen.heard = performance.now();
setInterval(tick, 1000);
tick();
listen();
