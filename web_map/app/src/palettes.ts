// Sequential colour ramps for hexagons on a dark map: lightness rises with the value, so no ramp depends on hue.

type Colour = [red: number, green: number, blue: number];

// viridis, plasma and magma: van der Walt and Smith (CC0); Nuñez, Anderton and Renslow 2018 for cividis; darkest parts
// left out, as they would sink into the map. The single-hue ramps are our own.
const RAMPS: Record<string, readonly string[]> = {
  viridis: ['#46327e', '#365c8d', '#277f8e', '#1fa187', '#4ac16d', '#a0da39', '#fde725'],
  cividis: ['#2a406c', '#48526b', '#666970', '#828079', '#a59c74', '#cbba69', '#fee838'],
  magma: ['#3b0f70', '#641a80', '#8c2981', '#b73779', '#de4968', '#f7705c', '#fe9f6d', '#fcfdbf'],
  plasma: ['#4b03a1', '#7d03a8', '#a82296', '#cb4679', '#e56b5d', '#f89441', '#fdc328', '#f0f921'],
  teal: ['#12404a', '#14606b', '#16828a', '#1fa6a2', '#37c9ba', '#5fe8d0', '#97fbe4'],
  violet: ['#33265f', '#4c3888', '#6a50ad', '#8566cf', '#a385ea', '#bfa4fb', '#d9c6ff'],
  greens: ['#153d2a', '#1d5c3b', '#2a7d4e', '#3f9f60', '#5fc277', '#88e08f', '#b6f7a8'],
  blues: ['#17315c', '#1f4a86', '#2e67ad', '#3d87d3', '#5aa8f0', '#82c6ff', '#b0deff'],
  amber: ['#46300c', '#6b4a10', '#936715', '#bd8820', '#e0a938', '#f6c95c', '#ffe58f'],
  grey: ['#2b3443', '#445063', '#627086', '#8391a8', '#a7b3c7', '#cbd4e2', '#f1f5fb'],
};

/** `n` colours of a ramp from low to high; an unknown name gets viridis. */
export function ramp(name: string | undefined, n: number): Colour[] {
  const stops = (RAMPS[name ?? ''] ?? RAMPS.viridis!).map(parse);
  return Array.from({length: n}, (_, i) => {
    const at = n === 1 ? stops.length - 1 : (i / (n - 1)) * (stops.length - 1);
    const low = Math.min(Math.floor(at), stops.length - 2);
    const share = at - low;
    return stops[low]!.map((c, k) => Math.round(c + (stops[low + 1]![k]! - c) * share)) as Colour;
  });
}

/** A colour as CSS, with an alpha of 0..255. */
export function css([red, green, blue]: Colour, alpha: number): string {
  return `rgb(${red} ${green} ${blue} / ${alpha / 255})`;
}

function parse(hex: string): Colour {
  return [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)) as Colour;
}
