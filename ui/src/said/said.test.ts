import { describe, expect, it } from 'vitest'
import { said } from './said'

describe('what the server says', () => {
  it('stands in the other language, with what was put in', () => {
    expect(said('device 34020000001320000001 does not answer', 'zh-CN')).toBe(
      '设备 34020000001320000001 没有应答',
    )
    expect(said('编码与第 7 行重复', 'en')).toBe('The code is that of row 7')
  })
  it('stays as it is in its own language and where nobody knows it', () => {
    expect(said('device 1 does not answer', 'en')).toBe('device 1 does not answer')
    expect(said('a sentence of tomorrow', 'zh-CN')).toBe('a sentence of tomorrow')
    expect(said(null, 'zh-CN')).toBe('')
  })
  it('is found in a row of sentences, and within one another', () => {
    expect(
      said(
        "The device agreed to send, but no media arrived. Check the media address of the device's zone and the firewall between device and RTP ports; try TCP.",
        'zh-CN',
      ),
    ).toBe(
      '设备同意发送，但没有收到媒体数据。 请检查设备所在区域的媒体地址，以及设备与 RTP 端口之间的防火墙；可改用 TCP。',
    )
    expect(said('the invitation ended: device 1 does not answer', 'zh-CN')).toBe(
      '邀请已结束：设备 1 没有应答',
    )
  })
  it('tells times in the zone of the screen, and causes in words', () => {
    const text = 'nothing is recorded in this range: not_planned since 2026-11-30T02:20:00Z'
    expect(said(text, 'zh-CN')).toBe('此范围内没有录像：不在录像计划内（自 2026-11-30 10:20:00 起）')
    expect(said(text, 'en')).toBe(
      'Nothing is recorded in this range: not in the recording plan since 2026-11-30 10:20:00',
    )
  })
  it('is found with the full stop that a row of sentences puts behind it', () => {
    expect(
      said(
        'The device did not answer the invitation. device 7 did not answer the invitation in 10 s. Check that it is online (evidence) and reachable at its last address.',
        'zh-CN',
      ),
    ).toBe(
      '设备没有应答点播邀请。 设备 7 在 10 秒内没有应答邀请。 请核对它是否在线（见证据），以及最后的地址是否可达。',
    )
    expect(said('open_failed: device 7 does not answer', 'zh-CN')).toBe('打开码流失败：设备 7 没有应答')
  })
  it('takes any text without harm', () => {
    for (const text of ['{0}', '((((', '$1 $& \\', 'a'.repeat(5_000), '; ; . .'])
      expect(said(text, 'zh-CN')).toBe(text)
  })
})
