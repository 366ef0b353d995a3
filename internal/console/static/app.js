// Refines pages that work without it: they keep themselves up to date, charts can
// be read with the pointer, and what cannot be undone is asked twice.
"use strict";
(() => {
  const state = () => document.querySelector("[data-live-state]");
  const tell = (on) => {
    const s = state();
    if (!s) return;
    s.classList.toggle("on", on);
    s.textContent = on ? s.dataset.yes : s.dataset.no;
  };

  // A beat says that something changed; the page asks for itself. Not while
  // somebody writes into it, or looks elsewhere.
  let waiting = false;
  const busy = () => {
    const live = document.getElementById("live");
    const at = document.activeElement;
    return document.hidden || (live && at && live.contains(at) && at.matches("input, textarea, select")) || (live && live.querySelector("details[open] form, [data-steady]:hover, [data-steady]:focus-within")); // steady: what is pressed must not move away
  };
  const beat = () => {
    if (busy()) { waiting = true; return; }
    waiting = false;
    document.body.dispatchEvent(new CustomEvent("beat"));
  };
  document.addEventListener("visibilitychange", () => { if (waiting) beat(); });
  document.addEventListener("focusout", () => { if (waiting) setTimeout(() => { if (waiting) beat(); }, 300); });

  if (document.getElementById("live") && window.EventSource) {
    const source = new EventSource("/live");
    source.addEventListener("open", () => tell(true));
    source.addEventListener("error", () => tell(false));
    source.addEventListener("beat", beat);
    source.addEventListener("ended", () => { source.close(); location.reload(); });
    addEventListener("pagehide", () => source.close());
  }

  // What somebody opened in a part that keeps itself up to date stays open.
  const opened = new Map();
  document.addEventListener("toggle", (e) => { if (e.target.matches("details[data-keep]")) opened.set(e.target.dataset.keep, e.target.open); }, true);
  document.addEventListener("htmx:after:swap", () => {
    for (const d of document.querySelectorAll("details[data-keep]")) if (opened.has(d.dataset.keep)) d.open = opened.get(d.dataset.keep);
  });

  // Forms that cannot be undone say what they do and ask.
  document.addEventListener("submit", (e) => {
    const ask = e.submitter?.dataset.ask ?? e.target.dataset.ask;
    if (ask && !confirm(ask)) e.preventDefault();
  });

  // Filters apply when they are changed.
  document.addEventListener("change", (e) => { if (e.target.matches("form[data-auto] select, form[data-auto] input[type=checkbox]")) e.target.form.requestSubmit(); });

  // A chart is <figure class="chart" id="…"> with a data block: {"x": [seconds],
  // "series": [{"label", "class", "values"}], "time": what x is called, "zone"}, and a drawing of the server's that
  // stands until this one does.
  const charts = new Map();
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const read = (figure) => JSON.parse(figure.querySelector("script[type='application/json']").textContent);
  const draw = () => {
    for (const [id, c] of charts) if (!c.root.isConnected) { c.destroy(); charts.delete(id); }
    for (const figure of document.querySelectorAll("figure.chart")) {
      const data = read(figure);
      const rows = [data.x, ...data.series.map((s) => s.values)];
      const chart = charts.get(figure.id);
      if (chart) { chart.setData(rows); continue; }
      const place = figure.querySelector("[data-chart]");
      if (!place || !window.uPlot) continue;
      figure.classList.add("drawn");
      const ink = colour("--dim"), line = { stroke: colour("--line"), width: 1 };
      const axis = { stroke: ink, grid: line, ticks: line, font: "12px system-ui, sans-serif" };
      const hours = (at) => new Date(at * 1000).toLocaleTimeString(document.documentElement.lang, { hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: data.zone });
      const bars = uPlot.paths.bars({ size: [0.9, 40] });
      charts.set(figure.id, new uPlot({
        width: Math.max(280, place.clientWidth), height: 200, cursor: { y: false }, legend: { live: true },
        scales: { x: { range: (_, lo, hi) => [lo - 30, hi + 30] }, y: { range: (_, lo, hi) => [0, Math.max(5, hi * 1.1)] } },
        axes: [{ ...axis, values: (_, at) => at.map(hours) }, { ...axis, size: 46 }],
        series: [{ label: data.time || "", value: (_, s) => s == null ? "–" : hours(s) },
          ...data.series.map((s) => ({ label: s.label, stroke: colour("--" + s.class), fill: colour("--" + s.class + "-soft"), width: 2, paths: s.bars ? bars : undefined, points: { show: false } }))],
      }, rows, place));
    }
  };
  addEventListener("resize", () => { for (const [id, c] of charts) { const p = document.querySelector("#" + CSS.escape(id) + " [data-chart]"); if (p) c.setSize({ width: Math.max(280, p.clientWidth), height: 200 }); } });
  document.addEventListener("DOMContentLoaded", draw);
  document.addEventListener("htmx:after:swap", draw);
  if (document.readyState !== "loading") draw();
})();

// A text says how much of it fits.
document.addEventListener("input", (e) => {
  const to = e.target.dataset?.count && document.getElementById(e.target.dataset.count);
  if (to) to.textContent = [...e.target.value].length.toLocaleString(document.documentElement.lang) + " / " + to.dataset.of;
});
