import { theme as antd, type ThemeConfig } from 'antd'
import { fontMono, fontSans, tokens, type ThemeName } from './tokens'

/** Ant Design wears our tokens; nothing sets a colour on a component by hand. */
export function antdTheme(name: ThemeName): ThemeConfig {
  const t = tokens[name]
  return {
    algorithm: name === 'dark' ? antd.darkAlgorithm : antd.defaultAlgorithm,
    token: {
      colorPrimary: t.accent,
      colorInfo: t.accent,
      colorLink: t.accent,
      colorSuccess: t.ok,
      colorWarning: t.warn,
      colorError: t.bad,
      colorBgBase: t.bg0,
      colorBgLayout: t.bg0,
      colorBgContainer: t.bg1,
      colorBgElevated: t.bg2,
      colorBorder: t.line2,
      colorBorderSecondary: t.line,
      colorSplit: t.line,
      colorBorderDisabled: t.line,
      colorBgContainerDisabled: t.bg2,
      colorText: t.fg0,
      colorTextSecondary: t.fg1,
      colorTextTertiary: t.fg2,
      colorTextQuaternary: t.fg3,
      colorTextPlaceholder: t.fg2,
      colorTextDisabled: t.fg3,
      colorTextLightSolid: t.onAccent,
      controlItemBgActive: t.bg3,
      controlItemBgHover: t.bg3,
      fontFamily: fontSans,
      fontFamilyCode: fontMono,
      fontSize: 13,
      lineHeight: 20 / 13,
      borderRadius: 6,
      borderRadiusLG: 8,
      controlHeight: 30,
      controlHeightSM: 24,
      colorBgMask: name === 'dark' ? 'rgba(4, 7, 10, 0.6)' : 'rgba(19, 32, 42, 0.35)',
      boxShadow: 'none',
      boxShadowSecondary: `0 0 0 1px ${t.line2}`,
      boxShadowTertiary: 'none',
      motionDurationMid: '0.12s',
      motionDurationSlow: '0.16s',
    },
    components: {
      Button: {
        colorPrimary: t.accent,
        primaryColor: t.onAccent,
        primaryShadow: 'none',
        defaultShadow: 'none',
        dangerShadow: 'none',
      },
      Tooltip: { colorBgSpotlight: t.bg3, colorTextLightSolid: t.fg0 },
      Tabs: { horizontalMargin: '0 0 12px 0', itemColor: t.fg1 },
      Form: { colorError: t.bad },
      Modal: { contentBg: t.bg1, headerBg: t.bg1 },
      Drawer: { colorBgElevated: t.bg1 },
    },
  }
}
