import { expect, it } from 'vitest';
import { en } from '../src/strings';
import { zh } from '../src/strings.zh';

const paths = (table: object, prefix = ''): string[] => Object.entries(table).flatMap(([key, value]) =>
  typeof value === 'object' ? paths(value, `${prefix}${key}.`) : [`${prefix}${key}`]);

it('has every string in every language', () => {
  expect(paths(zh).sort()).toEqual(paths(en).sort());
});
