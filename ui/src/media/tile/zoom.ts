/** Digital zoom of a picture: scale 1–8 and the shift of its middle, in shares of the tile. */
export interface Zoom {
  scale: number
  x: number
  y: number
}

export const WHOLE: Zoom = { scale: 1, x: 0, y: 0 }
const MOST = 8

const bounded = ({ scale, x, y }: Zoom): Zoom => {
  const reach = (scale - 1) / 2
  return {
    scale,
    x: Math.max(-reach, Math.min(reach, x)),
    y: Math.max(-reach, Math.min(reach, y)),
  }
}

/** Zooms by a factor so that what is under the pointer (px, py: −0.5 to 0.5 from the middle) stays there. */
export function zoomed(zoom: Zoom, factor: number, px: number, py: number): Zoom {
  const scale = Math.max(1, Math.min(MOST, zoom.scale * factor))
  if (scale < 1.02) return WHOLE
  const share = scale / zoom.scale
  return bounded({ scale, x: px - (px - zoom.x) * share, y: py - (py - zoom.y) * share })
}

export function dragged(zoom: Zoom, dx: number, dy: number): Zoom {
  return bounded({ ...zoom, x: zoom.x + dx, y: zoom.y + dy })
}
