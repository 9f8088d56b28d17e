// Small real H.264 films for the mock, made by ffmpeg when it is there, cut into fragments that can be put at any time.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export const LOOP_S = 20
export const FRAGMENT_S = 0.2
const GROUP = 10

const scene = (i, w, h) => {
  const k = w / 1280
  const box = (color, bw, bh) =>
    `color=${color}:s=${Math.round(bw * k)}x${Math.round(bh * k)}:r=25:d=${LOOP_S}`
  return [
    `color=${['0x5f6468', '0x6b6a5e', '0x4c5a66'][i]}:s=${w}x${h}:r=25:d=${LOOP_S},noise=alls=9:allf=t,drawbox=x=0:y=${0.56 * h}:w=${w}:h=${Math.max(2, 6 * k)}:color=0xc9c9b0:t=fill,drawbox=x=0:y=0:w=${w}:h=${0.3 * h}:color=0x8a959c:t=fill[b]`,
    `${box('0xdedede', 180, 90)}[c1]`,
    `${box('0x31475a', 150, 80)}[c2]`,
    `${box('0xa2433c', 130, 74)}[c3]`,
    `[b][c1]overlay=x='mod(t*${(370 + i * 37) * k},${1480 * k})-${200 * k}':y=${(300 + i * 14) * k}[o1]`,
    `[o1][c2]overlay=x='${1280 * k}-mod(t*${(296 + i * 37) * k},${1480 * k})':y=${440 * k}[o2]`,
    `[o2][c3]overlay=x='mod(t*${222 * k}+${600 * k},${1480 * k})-${200 * k}':y=${560 * k}`,
  ].join(';')
}

function make(path, i, w, h, rate) {
  const part = `${path}.${process.pid}`
  execFileSync(
    'ffmpeg',
    [
      ...['-y', '-loglevel', 'error', '-f', 'lavfi', '-i', scene(i, w, h), '-t', String(LOOP_S)],
      ...['-c:v', 'libx264', '-preset', 'ultrafast', '-profile:v', 'main', '-pix_fmt', 'yuv420p', '-bf', '0'],
      ...['-g', '50', '-keyint_min', '50', '-sc_threshold', '0', '-b:v', rate, '-maxrate', rate],
      ...['-bufsize', rate, '-movflags', '+empty_moov+default_base_moof', '-frag_duration', '200000'],
      ...['-f', 'mp4', part],
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  )
  renameSync(part, path)
}

function* boxes(data, from = 0, to = data.length) {
  for (let at = from; at + 8 <= to;) {
    const size = data.readUInt32BE(at)
    yield { type: data.toString('latin1', at + 4, at + 8), at, end: at + size }
    at += size
  }
}
function inside(data, box, ...path) {
  for (const type of path) box = [...boxes(data, box.at + 8, box.end)].find((one) => one.type === type)
  return box
}

function cut(data) {
  const top = [...boxes(data)]
  const moov = top.find((b) => b.type === 'moov')
  const mdhd = inside(data, moov, 'trak', 'mdia', 'mdhd')
  const timescale = data.readUInt32BE(mdhd.at + (data[mdhd.at + 8] === 1 ? 28 : 20))
  const avcC = data.indexOf('avcC')
  const codec = `avc1.${data.toString('hex', avcC + 5, avcC + 8)}`
  const fragments = []
  for (const [n, one] of top.entries()) {
    if (one.type !== 'moof') continue
    const bytes = data.subarray(one.at, top[n + 1].end)
    const tfdt = inside(data, one, 'traf', 'tfdt').at - one.at
    fragments.push({ bytes, tfdt, time: Number(bytes.readBigUInt64BE(tfdt + 12)) / timescale })
  }
  return { init: data.subarray(0, moov.end), timescale, codec, fragments }
}

function load() {
  const folder = join(tmpdir(), 'anwang-mock-film')
  mkdirSync(folder, { recursive: true })
  const films = { main: [], sub: [] }
  try {
    for (let i = 0; i < 3; i++)
      for (const [stream, w, h, rate] of [
        ['main', 1280, 720, '1500k'],
        ['sub', 640, 360, '400k'],
      ]) {
        const path = join(folder, `${stream}-${i}.mp4`)
        if (!existsSync(path)) make(path, i, w, h, rate)
        films[stream].push({ ...cut(readFileSync(path)), width: w, height: h })
      }
    return films
  } catch (error) {
    console.error(`no moving pictures: ${error.message}`)
    return null
  }
}
export const films = load()

/** The n-th fragment since 1970 of a film that runs for ever, with its decode time counted from then. */
export function fragmentAt(film, n) {
  const count = film.fragments.length
  const one = film.fragments[n % count]
  const bytes = Buffer.from(one.bytes)
  const time = Math.floor(n / count) * LOOP_S + one.time
  bytes.writeBigUInt64BE(BigInt(Math.round(time * film.timescale)), one.tfdt + 12)
  return bytes
}
export const isKey = (n) => n % GROUP === 0
export const fragmentNumber = (ms) => Math.floor(ms / 1000 / FRAGMENT_S)
