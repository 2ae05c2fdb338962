// Texts of the page: predictions, heat maps, boxes and facts about the model.

const REASONS = {
  EMPTY: 'The file is empty.',
  NOT_JPEG_OR_PNG: 'This is not a JPEG or PNG file.',
  TOO_MANY_BYTES: 'The file is larger than the limit of the model.',
  TOO_MANY_PIXELS: 'The image has more pixels than the limit of the model.',
  TOO_SMALL: 'The image is too small to be an X-ray.',
  TRUNCATED: 'The file is truncated.',
  DAMAGED: 'The file is damaged and cannot be decoded.',
  UNSUPPORTED_JPEG: 'This kind of JPEG is not supported.',
};
// The image can be decoded but is no radiograph.
const PROBLEMS = {
  LOW_RESOLUTION: 'The image has too few pixels for the model.',
  BLANK: 'All pixels have one gray value.',
  LOW_CONTRAST: 'Nearly all pixels have the same gray values.',
  FEW_GRAY_VALUES: 'This is a mask or a drawing.',
  COLOR_PHOTO: 'This is a color photograph.',
  INVERTED: 'The gray values are inverted.',
};

export const percent = (p) => (p > 0.999 ? '> 99.9 %' : p < 0.001 ? '< 0.1 %' : `${(100 * p).toFixed(1)} %`);
const two = (number) => Number(number).toFixed(2);

/** Returns kind, headline and explanation of one row of model outputs. */
export function describePrediction(row, about, hint = '') {
  const positive = (about.positive ?? []).join(' or ') || 'the positive class';
  const status = String(row.status ?? 'OK');
  if (row.decision === 'REFER' && PROBLEMS[status]) {
    return { kind: 'refer', headline: 'Referred: needs a human reader', explanation: `${PROBLEMS[status]} The model makes no prediction.` };
  }
  if (row.decision === 'REJECTED' || status !== 'OK') {
    const [code, detail] = status.split(': ');
    const reason = REASONS[code] ?? `Rejected by the model: ${status}.`;
    return { kind: 'rejected', headline: 'Rejected', explanation: [detail ? reason.replace(/\.$/, ` (${detail}).`) : reason, hint].filter(Boolean).join(' ') };
  }
  const score = percent(row.score);
  if (row.decision === 'REFER') {
    return { kind: 'refer', headline: 'Referred: needs a human reader', explanation: `The score of ${score} is within the range in which the model makes no decision.` };
  }
  const above = row.decision === 'POSITIVE';
  return {
    kind: above ? 'positive' : 'negative',
    headline: above ? 'Positive' : 'Negative',
    explanation: `Calibrated probability of ${positive}: ${score}, ${above ? 'at or above' : 'below'} the threshold.`,
  };
}

/** Explains the colors of a heat map. */
export function describeHeatMap(about) {
  const positive = (about.positive ?? []).join(' or ') || 'the positive class';
  return `Brighter areas contribute more to ${positive}. The brightest area corresponds to the probability of the whole image.`;
}

/** Describes how many boxes there are and how they were computed. */
export function describeBoxes(count, about) {
  if (!count) return 'No boxes.';
  const source = about.boxes?.kind === 'weak' ? ', derived from the heat map; the model was trained without boxes' : '';
  return `${count} ${count === 1 ? 'box' : 'boxes'}${source}.`;
}

/** Pairs of term and text about the served model; missing facts are omitted. */
export function describeModel(about) {
  const band = about.band;
  const point = about.operating_point ?? {};
  const limits = about.limits ?? {};
  const named = { published: 'ImageNet (published)', imagenet: 'ImageNet', random: 'random, without pretraining' };
  const weights = about.weights?.kind && (named[about.weights.kind] ?? `from a ${about.weights.kind}`);
  return [
    ['Name', [about.name, about.version && `version ${about.version}`].filter(Boolean).join(', ')],
    ['Backbone', [about.backbone, weights && `weights: ${weights}`].filter(Boolean).join('; ')],
    ['Classes', (about.classes ?? []).join(', ')],
    ['Decision', about.threshold !== undefined && `positive if the score is at least ${two(about.threshold)}${band ? `; referred between ${two(band[0])} and ${two(band[1])}` : ''}`],
    ['Training data', trainingData(about)],
    ['Operating point', point.sensitivity !== undefined && `sensitivity ${two(point.sensitivity)}, specificity ${two(point.specificity)} on ${point.positives} positive and ${point.negatives} negative validation images; see the report of the run for results on test data`],
    ['Input', limits.max_bytes && `JPEG or PNG up to ${Math.floor(limits.max_bytes / 2 ** 20)} MiB and ${Math.floor(limits.max_pixels / 1e6)} million pixels, resized to ${about.image_size} x ${about.image_size}`],
  ].filter(([, text]) => text);
}

function trainingData(about) {
  const data = about.data;
  const description = typeof data === 'string' ? data : data && typeof data === 'object'
    ? Object.entries(data).filter(([, value]) => typeof value !== 'object').map(([key, value]) => `${key.replaceAll('_', ' ')}: ${value}`).join('; ')
    : '';
  if (about.synthetic) return ['Synthetic radiographs, drawn by a program: predictions for patients are meaningless', description].filter(Boolean).join('. ');
  return description || 'Radiographs, not specified; see the model card of the run';
}
