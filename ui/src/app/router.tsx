import { createBrowserRouter } from 'react-router'
import { LoginPage } from '../governance/LoginPage'
import { SetupPage } from '../governance/SetupPage'
import { Loading } from '../shared/Face'
import { NotFound } from '../shell/NotFound'
import { Broken } from '../shell/Broken'
import { Home } from '../shell/Home'
import { Shell } from '../shell/Shell'

/** Pages load when first opened; each exports itself as `Component`. */
export const routes = [
  { path: '/login', element: <LoginPage />, errorElement: <Broken /> },
  { path: '/setup/:token', element: <SetupPage />, errorElement: <Broken /> },
  {
    path: '/',
    element: <Shell />,
    HydrateFallback: Loading,
    errorElement: <Broken />,
    children: [
      { index: true, element: <Home /> },
      { path: 'map', lazy: () => import('../map/MapPage'), errorElement: <Broken /> },
      { path: 'wall', lazy: () => import('../media/wall/WallPage'), errorElement: <Broken /> },
      { path: 'playback', lazy: () => import('../media/playback/PlaybackPage'), errorElement: <Broken /> },
      { path: 'devices', lazy: () => import('../access/DevicesPage'), errorElement: <Broken /> },
      {
        path: 'approvals',
        lazy: () => import('../governance/approvals/ApprovalsPage'),
        errorElement: <Broken />,
      },
      { path: 'ledger', lazy: () => import('../governance/ledger/LedgerPage'), errorElement: <Broken /> },
      {
        path: 'oversight',
        lazy: () => import('../governance/oversight/OversightPage'),
        errorElement: <Broken />,
      },
      { path: 'system', lazy: () => import('../system/SystemPage'), errorElement: <Broken /> },
      { path: '*', element: <NotFound /> },
    ],
  },
]

export const makeRouter = () => createBrowserRouter(routes)
