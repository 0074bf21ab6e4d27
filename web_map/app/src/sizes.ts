// Sizes on a wall: text, lines and dots grow with the screen, as a wall of 3840 pixels is read from farther away.

type Json = unknown;

/** The factor that keeps a 1080-row design legible on this screen (1 up to 1080 rows, 2 at 2160). */
export function screenFactor(width: number, height: number): number {
  return Math.max(1, Math.round(Math.min(width / 1920, height / 1080) * 20) / 20);
}

/** deck.gl props that are in pixels, `factor` times larger. */
export function enlargedProps(props: Record<string, unknown>, factor: number): Record<string, number> {
  if (factor === 1) return {};
  const larger: Record<string, number> = {};
  const grow = (key: string): void => {
    const value = props[key];
    if (typeof value === 'number' && value > 0 && value < 1e6) larger[key] = value * factor;
  };
  for (const key of ['pointRadiusMinPixels', 'pointRadiusMaxPixels', 'radiusMinPixels', 'radiusMaxPixels']) grow(key);
  for (const key of ['lineWidthMinPixels', 'lineWidthMaxPixels', 'widthMinPixels', 'widthMaxPixels']) grow(key);
  const units = {pointRadiusUnits: 'pointRadiusScale', radiusUnits: 'radiusScale', lineWidthUnits: 'lineWidthScale', widthUnits: 'widthScale'};
  for (const [unit, scale] of Object.entries(units)) if (props[unit] === 'pixels') grow(scale);
  return larger;
}

const STYLE_SIZES = new Set(['text-size', 'text-halo-width', 'line-width', 'line-gap-width', 'circle-radius', 'circle-stroke-width']);

/** A MapLibre style with text, lines and dots `factor` times larger. */
export function enlargedStyle<T extends {layers: object[]}>(style: T, factor: number): T {
  if (factor === 1) return style;
  const layers = style.layers.map((layer) => {
    const copy: Record<string, Json> = {...layer};
    for (const part of ['layout', 'paint']) {
      const values = copy[part] as Record<string, Json> | undefined;
      if (!values) continue;
      copy[part] = Object.fromEntries(Object.entries(values).map(([key, value]) => [key, STYLE_SIZES.has(key) ? times(value, factor) : value]));
    }
    return copy;
  });
  return {...style, layers};
}

/** Multiplies what a size expression answers. Zoom curves must stay outermost, so their outputs are multiplied one by one. */
function times(value: Json, factor: number): Json {
  if (typeof value === 'number') return value * factor;
  if (!Array.isArray(value)) return value;
  const [operator] = value;
  if (operator === 'interpolate' || operator === 'interpolate-hcl') {
    return value.map((part, i) => (i >= 4 && i % 2 === 0 ? times(part, factor) : part));
  }
  if (operator === 'step') return value.map((part, i) => (i >= 2 && i % 2 === 0 ? times(part, factor) : part));
  return ['*', factor, value];
}
