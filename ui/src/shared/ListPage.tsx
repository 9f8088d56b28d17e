import type { ReactNode } from 'react'
import { DataTable, type DataTableProps } from './DataTable'
import { Failed, Loading } from './Face'
import type { Pages } from './usePages'

interface ListPageProps<T> extends Omit<DataTableProps<T>, 'rows' | 'onEnd'> {
  list: Pages<T>
  /** What stands above the table. */
  children?: ReactNode
}

/** A list behind a cursor that fills its page: waiting for it, why it did not come, or its table. */
export function ListPage<T>({ list, children, ...table }: ListPageProps<T>) {
  if (list.error) return <Failed error={list.error} retry={() => void list.refetch()} />
  if (list.isPending) return <Loading />
  return (
    <>
      {children ? <div className="page-bar">{children}</div> : null}
      <div className="page-fill">
        <DataTable {...table} rows={list.rows} onEnd={list.onEnd} />
      </div>
    </>
  )
}
