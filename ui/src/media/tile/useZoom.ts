import { useEffect, useState, type PointerEvent, type RefObject } from 'react'
import { dragged, WHOLE, zoomed } from './zoom'

/** Wheel and drag on a picture. `style` goes on the video, `onPointerDown` on what holds it. */
export function useZoom(holder: RefObject<HTMLElement | null>) {
  const [zoom, setZoom] = useState(WHOLE)
  useEffect(() => {
    const element = holder.current
    if (element === null) return
    const onWheel = (event: WheelEvent) => {
      event.preventDefault()
      const box = element.getBoundingClientRect()
      const px = (event.clientX - box.left) / box.width - 0.5
      const py = (event.clientY - box.top) / box.height - 0.5
      setZoom((old) => zoomed(old, Math.exp(-event.deltaY / 400), px, py))
    }
    element.addEventListener('wheel', onWheel, { passive: false })
    return () => element.removeEventListener('wheel', onWheel)
  }, [holder])
  const onPointerDown = (event: PointerEvent<HTMLElement>) => {
    if (zoom.scale === 1 || event.button !== 0) return
    const element = event.currentTarget
    const { width, height } = element.getBoundingClientRect()
    let { clientX, clientY } = event
    const move = (next: globalThis.PointerEvent) => {
      const dx = (next.clientX - clientX) / width
      const dy = (next.clientY - clientY) / height
      clientX = next.clientX
      clientY = next.clientY
      setZoom((old) => dragged(old, dx, dy))
    }
    const stop = () => {
      window.removeEventListener('pointermove', move)
      window.removeEventListener('pointerup', stop)
      window.removeEventListener('pointercancel', stop)
    }
    window.addEventListener('pointermove', move)
    window.addEventListener('pointerup', stop)
    window.addEventListener('pointercancel', stop)
  }
  const style =
    zoom.scale === 1
      ? undefined
      : { transform: `translate(${zoom.x * 100}%, ${zoom.y * 100}%) scale(${zoom.scale})` }
  return { zoom, style, onPointerDown, reset: () => setZoom(WHOLE) }
}
