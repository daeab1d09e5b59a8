// Draws the charts of Usage with Chart.js, in the page's own tones. The table beside them says the
// same to whoever has no script.

const charts = [];

// What the style sheet makes of a class here and now; a canvas knows no variables.
function styled(parent, name, property) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", name);
  parent.append(svg);
  const found = getComputedStyle(svg)[property];
  svg.remove();
  return found;
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

function paint(chart, data) {
  const { series, words, lines } = colours(chart.canvas.parentElement, data);
  chart.data.datasets.forEach((dataset, at) => Object.assign(dataset, series[at]));
  for (const axis of Object.values(chart.options.scales)) {
    axis.ticks.color = words;
    axis.grid.color = axis.border.color = lines;
  }
  chart.update("none");
}

function draw(holder) {
  const data = JSON.parse(holder.dataset.chart);
  const { days, series, unit } = data;
  const chart = new Chart(holder.querySelector("canvas"), {
    type: "bar",
    data: {
      labels: days,
      datasets: series.map(({ title, values }) => ({ label: title, data: values, borderWidth: 1 })),
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
        x: { stacked: true, grid: { display: false }, border: {}, ticks: { maxRotation: 0 } },
        y: { stacked: true, grid: {}, border: {}, ticks: { callback: amount(unit), maxTicksLimit: 6 } },
      },
    },
  });
  paint(chart, data);
  charts.push([chart, data]);
}

for (const holder of document.querySelectorAll(".gh-chart")) draw(holder);
function repaint() {
  for (const one of charts) paint(...one);
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
new MutationObserver(repaint).observe(document.documentElement, { attributeFilter: ["data-bs-theme"] });
addEventListener("beforeprint", () => {
  for (const [chart] of charts) chart.resize();
});
