function chipcastReady(vegaEmbed) {
  const page = JSON.parse(document.getElementById("specs").textContent);
  const narrow = document.documentElement.clientWidth < 560;
  function shorten(node) {
    if (node === null || typeof node !== "object") return;
    if (node.labelLimit > 125) node.labelLimit = 125;
    Object.values(node).forEach(shorten);
  }
  for (const [id, spec] of Object.entries(page.charts)) {
    const place = document.getElementById(id);
    if (narrow) shorten(spec);
    vegaEmbed(place, spec, {mode: "vega-lite", ast: true, renderer: "svg", actions: false, config: page.config}).catch((error) => {
      place.textContent = "This picture could not be drawn here (" + error.message + "); its numbers stand in the tables.";
    });
  }
  function reveal() {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    for (let node = target; node; node = node.parentElement) if (node.tagName === "DETAILS") node.open = true;
    target.scrollIntoView();
  }
  window.addEventListener("hashchange", reveal);
  reveal();
}
