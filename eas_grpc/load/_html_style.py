"""How the HTML report looks, and the few lines that hand its charts to plotly."""

from __future__ import annotations

__all__ = ["SCRIPT", "STYLE"]

STYLE = """
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --text: #1d2430; --soft: #5b6675; --line: #dde2e9; --grid: #e6eaf0;
  --latency: #1f6fd6; --service: #7a5cc9; --old: #8a94a3; --ok: #4b93e6; --failed: #d64533; --p50: #1a9a74;
  --max: #c27410; --good: #14795a; --bad: #b8321f; --unsure: #8a5a00; --goodback: #dff3eb; --badback: #fbe4e0;
  --unsureback: #fbf0d9;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #12161c; --card: #1a2029; --text: #e4e9f0; --soft: #9aa6b5; --line: #2c3541; --grid: #2a323d;
    --latency: #62a4f7; --service: #b09af0; --old: #8792a2; --ok: #3f7fd0; --failed: #f0705e; --p50: #44c79d;
    --max: #e8a33d; --good: #6fdcb5; --bad: #ff9384; --unsure: #f0c26a; --goodback: #123529; --badback: #44201b;
    --unsureback: #3b2f14;
  }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 3rem; max-width: 70rem; background: var(--page); color: var(--text);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", "Liberation Sans", sans-serif; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 0 0 .5rem; }
p { margin: .25rem 0; overflow-wrap: anywhere; }
.soft, figcaption { color: var(--soft); font-size: .9rem; }
section { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: 1rem; margin: 1rem 0; }
figure { margin: 0; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: .75rem; margin: 1rem 0;
  padding: 0; list-style: none; }
.cards li { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: .6rem .9rem; }
.cards span { display: block; color: var(--soft); font-size: .85rem; }
.cards b { font-size: 1.35rem; font-weight: 600; white-space: nowrap; font-variant-numeric: tabular-nums; }
.cards .bad b { color: var(--bad); }
.note { border-left: .3rem solid var(--unsure); background: var(--unsureback); padding: .6rem .9rem; margin: 1rem 0;
  border-radius: .3rem; overflow-wrap: anywhere; }
.chart { width: 100%; height: 22rem; }
#timeline { height: 38rem; }
.scroll { overflow-x: auto; }
details .scroll { max-height: 32rem; overflow-y: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child, td:first-child, .words td, .words th { text-align: left; }
.words th { vertical-align: top; }
.scroll + .scroll { margin-top: 1rem; }
.words td { white-space: normal; overflow-wrap: anywhere; vertical-align: top; }
.words td:first-child { white-space: nowrap; }
thead th { color: var(--soft); font-weight: 600; }
details { margin-top: .5rem; }
summary { cursor: pointer; color: var(--soft); font-size: .9rem; }
.verdict { border-radius: .3rem; padding: .05rem .45rem; }
.better { color: var(--good); background: var(--goodback); }
.worse { color: var(--bad); background: var(--badback); }
.unclear { color: var(--unsure); background: var(--unsureback); }
@media (max-width: 40rem) {
  body { padding: 1rem .6rem 2rem; }
  section { padding: .75rem .6rem; }
  .chart { height: 19rem; }
  #timeline { height: 34rem; }
}
@media print { .chart, section { break-inside: avoid; } }
"""

SCRIPT = """
"use strict";
(() => {
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const narrow = matchMedia("(max-width: 40rem)");
  const touch = matchMedia("(pointer: coarse)");
  const colour = name => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  const coloured = value =>
    typeof value === "string" && value[0] === "@" ? colour(value.slice(1))
    : Array.isArray(value) ? value.map(coloured)
    : value && typeof value === "object"
      ? Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, coloured(inner)]))
    : value;
  const axis = given => Object.assign(
    {gridcolor: colour("grid"), linecolor: colour("line"), zerolinecolor: colour("line"), automargin: true}, given);
  const config = () => ({responsive: true, displaylogo: false, doubleClick: "reset",
    displayModeBar: !touch.matches && !narrow.matches,
    modeBarButtons: [["zoom2d", "pan2d", "resetScale2d", "toImage"]]});
  const layout = given => {
    const made = {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: {color: colour("text"), family: getComputedStyle(document.body).fontFamily, size: narrow.matches ? 11 : 12},
      margin: {l: 10, r: narrow.matches ? 10 : 40, t: 10, b: 10},
      legend: {orientation: "h", x: 0, y: 1.02, yanchor: "bottom", traceorder: "normal"},
      hoverlabel: {bgcolor: colour("card"), bordercolor: colour("line"), font: {color: colour("text")}},
      modebar: {orientation: "v", bgcolor: "rgba(0,0,0,0)", color: colour("soft"), activecolor: colour("latency")},
      dragmode: touch.matches ? false : "zoom", showlegend: true};
    for (const [key, value] of Object.entries(given)) made[key] = /^[xy]axis/.test(key) ? axis(value) : value;
    return made;
  };
  const draw = () => Promise.all(Object.entries(charts).map(([name, chart]) =>
    Plotly.react(name, coloured(chart.data), coloured(layout(chart.layout)), config())));
  for (const query of [dark, narrow]) query.addEventListener("change", draw);
  draw().then(() => { document.documentElement.dataset.drawn = "yes"; });
})();
"""
