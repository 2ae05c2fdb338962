// Draws the boxes of a prediction over an image and describes their positions.

const SVG = 'http://www.w3.org/2000/svg';

/** Returns the boxes of a prediction, best first: [{ box: [ymin, xmin, ymax, xmax] in pixels, score }], or null. */
export function boxesOf(row) {
  const { boxes, box_scores: scores } = row ?? {};
  if (!Array.isArray(boxes) || !Array.isArray(scores) || boxes.length !== scores.length) return null;
  const parsed = boxes.map((box, i) => ({ box: Array.isArray(box) ? box.map(Number) : [], score: Number(scores[i]) }));
  if (!parsed.every(({ box, score }) => box.length === 4 && [...box, score].every(Number.isFinite))) return null;
  return parsed.filter(({ score }) => score >= 0);
}

/** Draws the boxes in image coordinates; the browser scales the drawing with the image. */
export function drawBoxes(svg, boxes, width, height) {
  svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
  const size = Math.max(width, height) / 18;
  svg.replaceChildren(...boxes.flatMap(({ box: [top, left, bottom, right] }, i) => {
    const shape = { x: left, y: top, width: right - left, height: bottom - top };
    // A dark line under the light one is visible on bone and on lung.
    const lines = ['under', 'over'].map((kind) => createSvg('rect', { ...shape, class: kind }));
    const below = top < 1.2 * size;
    const text = createSvg('text', { x: left + size / 5, y: below ? top + size : top - size / 4, 'font-size': size });
    text.textContent = String(i + 1);
    return [...lines, text];
  }));
}

function createSvg(name, attributes) {
  const element = document.createElementNS(SVG, name);
  Object.entries(attributes).forEach(([key, value]) => element.setAttribute(key, value));
  return element;
}

/** Describes the position, the size and the score of each box. */
export function describeEach(boxes, width, height) {
  return boxes.map(({ box: [top, left, bottom, right], score }) => {
    const third = (middle, names) => names[Math.min(2, Math.max(0, Math.floor(3 * middle)))];
    const row = third((top + bottom) / 2 / height, ['upper', 'middle', 'lower']);
    const column = third((left + right) / 2 / width, ['left', 'center', 'right']);
    const share = (100 * (bottom - top) * (right - left)) / (width * height);
    const area = share < 1 ? 'less than 1 %' : `${Math.round(share)} %`;
    return `${row} ${column} of the image, ${area} of its area, score ${score.toFixed(2)}`;
  });
}
