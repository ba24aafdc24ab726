// A table on wide screens; on a phone each row becomes a card whose cells carry their column's name.
import type { ComponentChildren } from 'preact';

export interface Column<T> { title: string; cell: (row: T) => ComponentChildren; class?: string; hideTitle?: boolean }

interface TableProps<T> { label: string; rows: T[]; columns: Column<T>[]; rowKey: (row: T) => string; empty: string }

export function Table<T>({ label, rows, columns, rowKey, empty }: TableProps<T>) {
  if (rows.length === 0) return <p class="empty soft">{empty}</p>;
  return (
    <div class="table-box">
      <table aria-label={label}>
        <thead>
          <tr>{columns.map((column) => <th key={column.title} scope="col" class={column.class}>{column.hideTitle ? <span class="hidden">{column.title}</span> : column.title}</th>)}</tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={rowKey(row)}>
              {columns.map((column) => (
                <td key={column.title} class={column.class} data-title={column.hideTitle ? undefined : column.title}>{column.cell(row)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
