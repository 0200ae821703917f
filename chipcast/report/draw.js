function chipcastDraw(vegaEmbed) {
  const page = JSON.parse(document.getElementById("specs").textContent);
  const narrow = document.documentElement.clientWidth < 560;
  const wrap = "split(length(datum.label) > 24 ? replace(datum.label, regexp('(.{1,24})\\\\s+(?=\\\\S)', 'g'), '$1\\n') : datum.label, '\\n')";
  function shorten(node) {
    if (node === null || typeof node !== "object") return;
    if (node.labelLimit > 125) {
      node.labelLimit = 135;
      if (node.labelExpr && node.labelExpr.startsWith("split(")) Object.assign(node, {labelExpr: wrap, labelFontSize: 10.5, labelLineHeight: 11});
    }
    if (typeof node.title === "string" && node.title.length > 40 && !("titleAngle" in node)) {
      const at = node.title.indexOf(" ", node.title.length / 2 - 4);
      if (at > 0) node.title = [node.title.slice(0, at), node.title.slice(at + 1)];
    }
    Object.values(node).forEach(shorten);
  }
  for (const [id, spec] of Object.entries(page.charts)) {
    const place = document.getElementById(id);
    if (narrow) {
      const before = JSON.stringify(spec).length;
      shorten(spec);
      if (JSON.stringify(spec).length !== before) spec.height = Math.round(spec.height * 1.2);
    }
    vegaEmbed(place, spec, {mode: "vega-lite", ast: true, renderer: "svg", actions: false, config: page.config}).catch((error) => {
      place.textContent = "This picture could not be drawn here (" + error.message + "); its numbers stand in the tables.";
    });
  }
}
