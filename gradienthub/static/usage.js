// Draws the charts of Usage with Chart.js, in the page's own tones. The table beside them says the
// same to whoever has no script.

// What the style sheet makes of a class here and now; a canvas knows no variables.
function styled(parent, name, property) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", name);
  parent.append(svg);
  const found = getComputedStyle(svg)[property];
  svg.remove();
  return found === "none" ? "transparent" : found;
}

function amount(unit) {
  if (unit === "h") return (value) => `${Number(value.toPrecision(3))} h`;
  const money = new Intl.NumberFormat("en", { style: "currency", currency: unit });
  return (value) => money.format(value);
}

function colours(holder, data) {
  return {
    series: data.series.map(({ tone }) => ({
      backgroundColor: styled(holder, `gh-t${tone}`, "fill"),
      borderColor: styled(holder, `gh-t${tone}`, "stroke"),
    })),
    words: styled(holder, "gh-muted", "color"),
    lines: styled(holder, "ax", "stroke"),
  };
}

function draw(holder) {
  const data = JSON.parse(holder.dataset.chart);
  const { days, series, unit } = data;
  const tones = colours(holder, data);
  const ticks = { color: tones.words };
  const line = { color: tones.lines };
  const canvas = holder.querySelector("canvas");
  Chart.getChart(canvas)?.destroy();
  new Chart(canvas, {
    type: "bar",
    data: {
      labels: days,
      datasets: series.map(({ title, values }, at) => ({
        label: title, data: values, borderWidth: 1, ...tones.series[at],
      })),
    },
    options: {
      animation: false,
      maintainAspectRatio: false,
      plugins: {
        colors: { enabled: false },
        legend: { display: false },
        tooltip: {
          mode: "index",
          filter: (item) => item.raw > 0,
          callbacks: {
            label: ({ dataset, datasetIndex, dataIndex }) =>
              `${dataset.label}: ${series[datasetIndex].words[dataIndex]}`,
          },
        },
      },
      scales: {
        x: { stacked: true, grid: { display: false }, border: line, ticks: { ...ticks, maxRotation: 0 } },
        y: { stacked: true, grid: line, border: line, ticks: { ...ticks, callback: amount(unit), maxTicksLimit: 6 } },
      },
    },
  });
}

function repaint() {
  for (const holder of document.querySelectorAll(".gh-chart")) draw(holder);
}
repaint();
// Drawn anew: what a chart has resolved once it keeps, whatever its data say later.
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
new MutationObserver(repaint).observe(document.documentElement, { attributeFilter: ["data-bs-theme"] });
addEventListener("beforeprint", () => {
  for (const canvas of document.querySelectorAll(".gh-chart canvas")) Chart.getChart(canvas).resize();
});
