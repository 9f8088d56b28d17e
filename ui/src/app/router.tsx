import { createBrowserRouter, Navigate } from 'react-router'
import { LoginPage } from '../governance/LoginPage'
import { SetupPage } from '../governance/SetupPage'
import { Loading } from '../shared/Face'
import { NotFound } from '../shell/NotFound'
import { Broken } from '../shell/Broken'
import { Shell } from '../shell/Shell'
import { paths } from './paths'

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
      { index: true, element: <Navigate to={paths.map()} replace /> },
      { path: 'map', lazy: () => import('../map/MapPage'), errorElement: <Broken /> },
      { path: 'wall', lazy: () => import('../media/wall/WallPage'), errorElement: <Broken /> },
      { path: 'playback', lazy: () => import('../media/playback/PlaybackPage'), errorElement: <Broken /> },
      { path: 'devices', lazy: () => import('../access/DevicesPage'), errorElement: <Broken /> },
      { path: 'system', lazy: () => import('../system/SystemPage'), errorElement: <Broken /> },
      { path: '*', element: <NotFound /> },
    ],
  },
]

export const makeRouter = () => createBrowserRouter(routes)
