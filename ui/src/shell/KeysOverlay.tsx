import { Modal } from 'antd'
import { useTranslation } from 'react-i18next'
import { useKeyGroups, type KeyBinding } from '../shared/keys'

const NAMES: Record<string, string> = {
  ArrowLeft: '←',
  ArrowRight: '→',
  ArrowUp: '↑',
  ArrowDown: '↓',
  Escape: 'Esc',
  Delete: 'Del',
  PageUp: 'PgUp',
  PageDown: 'PgDn',
}

/** As it stands on a keyboard: `←`, `G 1`, `Alt+F`. */
export const keyText = (keys: string): string =>
  keys
    .split(' ')
    .map(
      (one) =>
        NAMES[one] ??
        one.replace(/(^|\+)([a-z])$/, (_, before, key: string) => `${before}${key.toUpperCase()}`),
    )
    .join(' ')

/** One row per thing that keys do, with all keys that do it. */
export function keyRows(bindings: readonly KeyBinding[]): { label: string; keys: string[] }[] {
  const rows = new Map<string, string[]>()
  for (const { keys, label, again } of bindings)
    if (!again) rows.set(label, [...(rows.get(label) ?? []), keyText(keys)])
  return [...rows].map(([label, keys]) => ({ label, keys }))
}

/** What `?` shows: every key that works here and now. */
export function KeysOverlay({ open, onClose }: { open: boolean; onClose: () => void }) {
  const { t } = useTranslation()
  const groups = useKeyGroups()
  return (
    <Modal
      open={open}
      onCancel={onClose}
      footer={null}
      title={t('shell:keys.keys')}
      width={860}
      style={{ top: 56 }}
      destroyOnHidden
    >
      <div className="keys-groups">
        {groups
          .filter(({ bindings }) => bindings.length > 0)
          .map((group, index) => (
            <section key={`${group.title}-${index}`}>
              <h3>{group.title}</h3>
              <ul>
                {keyRows(group.bindings).map(({ label, keys }) => (
                  <li key={label}>
                    <span>{label}</span>
                    <span className="keys-of">
                      {keys.map((one) => (
                        <kbd key={one}>{one}</kbd>
                      ))}
                    </span>
                  </li>
                ))}
              </ul>
            </section>
          ))}
      </div>
    </Modal>
  )
}
