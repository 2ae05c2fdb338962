// Draws the boxes of an answer over a picture, and says in words where they are.

const SVG = 'http://www.w3.org/2000/svg';

/** Boxes of an answer, best first: [{ box: [ymin, xmin, ymax, xmax] in pixels, score }], or null. */
export function boxesOf(row) {
  const { boxes, box_scores: scores } = row ?? {};
  if (!Array.isArray(boxes) || !Array.isArray(scores) || boxes.length !== scores.length) return null;
  const found = boxes.map((box, i) => ({ box: Array.isArray(box) ? box.map(Number) : [], score: Number(scores[i]) }));
  if (!found.every(({ box, score }) => box.length === 4 && [...box, score].every(Number.isFinite))) return null;
  return found.filter(({ score }) => score >= 0);
}

/** Draws them at the size of the displayed image; the browser scales the drawing with the picture. */
export function drawBoxes(svg, found, width, height) {
  svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
  const size = Math.max(width, height) / 18;
  svg.replaceChildren(...found.flatMap(({ box: [top, left, bottom, right] }, i) => {
    const shape = { x: left, y: top, width: right - left, height: bottom - top };
    // A dark line below the light one: seen on bone and on lung.
    const lines = ['under', 'over'].map((kind) => made('rect', { ...shape, class: kind }));
    const below = top < 1.2 * size;
    const text = made('text', { x: left + size / 5, y: below ? top + size : top - size / 4, 'font-size': size });
    text.textContent = String(i + 1);
    return [...lines, text];
  }));
}

function made(name, attributes) {
  const element = document.createElementNS(SVG, name);
  Object.entries(attributes).forEach(([key, value]) => element.setAttribute(key, value));
  return element;
}

/** One sentence for each box: where it lies in the picture, how large it is, its score. */
export function inWords(found, width, height) {
  return found.map(({ box: [top, left, bottom, right], score }) => {
    const third = (middle, names) => names[Math.min(2, Math.max(0, Math.floor(3 * middle)))];
    const row = third((top + bottom) / 2 / height, ['upper', 'middle', 'lower']);
    const column = third((left + right) / 2 / width, ['left', 'centre', 'right']);
    const share = (100 * (bottom - top) * (right - left)) / (width * height);
    const area = share < 1 ? 'less than 1 %' : `${Math.round(share)} %`;
    return `${row} ${column} of the picture, ${area} of its area, score ${score.toFixed(2)}`;
  });
}
