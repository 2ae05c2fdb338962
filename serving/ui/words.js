// What the page says of an answer, of the model and of its data.

const REASONS = {
  EMPTY: 'The file is empty.',
  NOT_JPEG_OR_PNG: 'This is not a JPEG or PNG file.',
  TOO_MANY_BYTES: 'The file is larger than the model takes.',
  TOO_MANY_PIXELS: 'The image has more pixels than the model takes.',
  TOO_SMALL: 'The image is too small to be an X-ray.',
  TRUNCATED: 'The file is cut off before its end.',
  DAMAGED: 'The file is damaged and cannot be decoded.',
};

export const percent = (p) => (p > 0.999 ? '> 99.9 %' : p < 0.001 ? '< 0.1 %' : `${(100 * p).toFixed(1)} %`);
const two = (number) => Number(number).toFixed(2);

/** Kind, headline and meaning of a row of outputs. */
export function reading(row, about, hint = '') {
  const positive = (about.positive ?? []).join(' or ') || 'the positive class';
  const status = String(row.status ?? 'OK');
  if (row.decision === 'REJECTED' || status !== 'OK') {
    const [code, detail] = status.split(': ');
    const reason = REASONS[code] ?? `The model says: ${status}.`;
    return { kind: 'rejected', headline: 'Not read', meaning: [detail ? reason.replace(/\.$/, ` (${detail}).`) : reason, hint].filter(Boolean).join(' ') };
  }
  const score = percent(row.score);
  if (row.decision === 'REFER') {
    return { kind: 'refer', headline: 'Abstained: a person must read it', meaning: `The score of ${score} lies where the model is not sure enough to decide.` };
  }
  const above = row.decision === 'POSITIVE';
  return {
    kind: above ? 'positive' : 'negative',
    headline: above ? 'Positive' : 'Negative',
    meaning: `Calibrated probability of ${positive}: ${score}, ${above ? 'at or above' : 'below'} the threshold.`,
  };
}

/** What the colours of a heat map mean. */
export function ofHeat(about) {
  const positive = (about.positive ?? []).join(' or ') || 'the positive class';
  return `The brighter, the more a place speaks for ${positive}. The brightest is as strong as the probability of the whole image.`;
}

/** How many places are marked, and how they were found. */
export function ofBoxes(count, about) {
  if (!count) return 'No place is marked.';
  const weak = about.boxes?.kind === 'weak' ? ', read off the heat map: the model was never shown a box' : '';
  return `${count} ${count === 1 ? 'place is' : 'places are'} marked${weak}.`;
}

/** Pairs of term and text about the served model; what it does not tell is left out. */
export function aboutModel(about) {
  const band = about.band;
  const point = about.operating_point ?? {};
  const limits = about.limits ?? {};
  const named = { published: 'ImageNet, as published', imagenet: 'ImageNet', random: 'random, no pre-training' };
  const weights = about.weights?.kind && (named[about.weights.kind] ?? `from a ${about.weights.kind}`);
  return [
    ['Name and version', [about.name, about.version && `version ${about.version}`].filter(Boolean).join(', ')],
    ['Network', [about.backbone, weights && `weights: ${weights}`].filter(Boolean).join('; ')],
    ['Classes', (about.classes ?? []).join(', ')],
    ['Decision', about.threshold !== undefined && `positive from a score of ${two(about.threshold)} on${band ? `; abstains between ${two(band[0])} and ${two(band[1])}` : ''}`],
    ['Trained on', trainedOn(about)],
    ['Operating point on validation data', point.sensitivity !== undefined && `sensitivity ${two(point.sensitivity)}, specificity ${two(point.specificity)} on ${point.positives} positive and ${point.negatives} negative images; results on test data stand in the report of the run`],
    ['Takes', limits.max_bytes && `JPEG or PNG up to ${Math.floor(limits.max_bytes / 2 ** 20)} MiB and ${Math.floor(limits.max_pixels / 1e6)} million pixels; read at ${about.image_size} x ${about.image_size}`],
  ].filter(([, text]) => text);
}

function trainedOn(about) {
  const data = about.data;
  const told = typeof data === 'string' ? data : data && typeof data === 'object'
    ? Object.entries(data).filter(([, value]) => typeof value !== 'object').map(([key, value]) => `${key.replaceAll('_', ' ')}: ${value}`).join('; ')
    : '';
  if (about.synthetic) return ['Synthetic radiographs, drawn by a program: its answers say nothing of patients', told].filter(Boolean).join('. ');
  return told || 'Radiographs; the model does not tell which. See the model card of the run';
}
