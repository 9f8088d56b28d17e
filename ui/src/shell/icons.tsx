import type { ReactNode } from 'react'
import type { PlaceKey } from '../app/places'

const drawings: Record<PlaceKey, ReactNode> = {
  map: <path d="M3 6l6-2.5 6 2.5 6-2.5V18l-6 2.5L9 18l-6 2.5zM9 3.5V18M15 6v14.5" />,
  video: <path d="M3.5 4.5h7v6.5h-7zM13.5 4.5h7v6.5h-7zM3.5 13.5h7V20h-7zM13.5 13.5h7V20h-7z" />,
  playback: <path d="M12 3.5a8.5 8.5 0 1 1-8.3 6.6M3.2 4.6l.5 5.5 5.3-1.2M12 7.5V12l3.2 2" />,
  checkpoints: (
    <path d="M4 12l2-5.5h12L20 12M3.5 12h17v5.5h-17zM6.5 17.5V20M17.5 17.5V20M7 14.8h2M15 14.8h2" />
  ),
  alarms: <path d="M6.5 17V11a5.5 5.5 0 0 1 11 0v6M4.5 17h15M10 20h4M12 5.5V3.5" />,
  safety: <path d="M12 3l7.5 3v5.5c0 4.6-3.1 7.9-7.5 9.5-4.4-1.6-7.5-4.9-7.5-9.5V6z" />,
  sites: (
    <path d="M4 20.5V10h6v10.5M10 20.5V4h5v16.5M15 20.5V8.5h5v12M2.5 20.5h19M12.5 8v.1M12.5 12v.1M7 14v.1M17.5 13v.1" />
  ),
  operations: <path d="M2.5 12.5H7l2.5-7 4.5 13 2.5-6h5" />,
  governance: (
    <path d="M12 3.5a3.7 3.7 0 1 1 0 7.4 3.7 3.7 0 0 1 0-7.4zM4.5 20.5c.4-4.2 3.5-6.3 7.5-6.3s7.1 2.1 7.5 6.3" />
  ),
  approvals: <path d="M6 3.5h12v17H6zM9 8h6M9 11.5h3M9.5 16l2 2 4-4.5" />,
  ledger: <path d="M5 4h11.5L19 6.5V20H5zM8 9h8M8 12.5h8M8 16h5" />,
  oversight: <path d="M4 20V4M4 20h16.5M8 16.5v-5M12 16.5V8M16 16.5v-3M19.5 16.5V6" />,
  accounts: (
    <path d="M9 4.5a3.3 3.3 0 1 1 0 6.6 3.3 3.3 0 0 1 0-6.6zM2.5 19.5c.3-3.8 2.9-5.7 6.5-5.7s6.2 1.9 6.5 5.7M15.5 5a3 3 0 0 1 0 6M17.5 14.2c2.3.7 3.8 2.4 4 5.3" />
  ),
  system: (
    <path d="M12 8.5a3.5 3.5 0 1 1 0 7 3.5 3.5 0 0 1 0-7zM12 2.8v3M12 18.2v3M2.8 12h3M18.2 12h3M5.5 5.5l2.1 2.1M16.4 16.4l2.1 2.1M18.5 5.5l-2.1 2.1M7.6 16.4l-2.1 2.1" />
  ),
}

export function PlaceIcon({ place }: { place: PlaceKey }) {
  return (
    <svg
      width="20"
      height="20"
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.6"
      strokeLinejoin="round"
      strokeLinecap="round"
      aria-hidden
    >
      {drawings[place]}
    </svg>
  )
}
