function chipcastReady(vegaEmbed) {
  function draw() {
    if (document.getElementById("specs")) chipcastDraw(vegaEmbed);
  }
  draw();
  document.body.addEventListener("htmx:afterSettle", draw);
}
