// Draws a heat map (rows of numbers from 0 to 1) over an image.

// Stops of the color map "inferno" (matplotlib): perceptually uniform, also in grayscale.
const STOPS = [[0, 0, 4], [66, 10, 104], [147, 38, 103], [221, 81, 58], [252, 165, 10], [252, 255, 164]];

/** Returns the heat map of a prediction, or null if it is not a rectangle of finite numbers. */
export function heatMapOf(row) {
  const map = row?.heatmap ?? row?.heat_map;
  if (!Array.isArray(map) || !map.length || !Array.isArray(map[0]) || !map[0].length) return null;
  const flat = map.map((line) => (Array.isArray(line) ? line.map((cell) => Number(Array.isArray(cell) ? cell[0] : cell)) : []));
  const width = flat[0].length;
  return flat.every((line) => line.length === width && line.every(Number.isFinite)) ? flat : null;
}

/** Color and opacity of a value: weaker values are more transparent. */
export function color(value) {
  const v = Math.min(1, Math.max(0, value));
  const at = Math.min(STOPS.length - 2, Math.floor(v * (STOPS.length - 1)));
  const part = v * (STOPS.length - 1) - at;
  const mixed = STOPS[at].map((low, i) => Math.round(low + part * (STOPS[at + 1][i] - low)));
  return [...mixed, Math.round(255 * v)];
}

/** Paints the map at its own resolution; the browser scales it smoothly to the image. */
export function paint(canvas, map) {
  canvas.width = map[0].length;
  canvas.height = map.length;
  const context = canvas.getContext('2d');
  const pixels = context.createImageData(canvas.width, canvas.height);
  map.flat().forEach((value, i) => pixels.data.set(color(value), 4 * i));
  context.putImageData(pixels, 0, 0);
}

/** Keeps an overlay aligned with the image when the page is resized. */
export function alignWith(canvas, image) {
  const place = () => {
    canvas.style.left = `${image.offsetLeft}px`;
    canvas.style.top = `${image.offsetTop}px`;
    canvas.style.width = `${image.offsetWidth}px`;
    canvas.style.height = `${image.offsetHeight}px`;
  };
  place();
  new ResizeObserver(place).observe(image.parentElement);
}
