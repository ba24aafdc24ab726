import { expect, it } from 'vitest';
import { backoff, topicsOf } from '../src/stream';

it('waits longer after each loss, never longer than half a minute, and never at once', () => {
  expect([0, 1, 2, 3].map((attempt) => backoff(attempt, 1))).toEqual([500, 1000, 2000, 4000]);
  expect(backoff(40, 1)).toBe(30_000);
  expect(backoff(0, 0)).toBe(250);
});

it('takes topics from what the server says and nothing else', () => {
  expect(topicsOf('{"topics":["keys","sessions"]}')).toEqual(['keys', 'sessions']);
  for (const data of ['', '{}', '[]', 'null', '{"topics":7}', '{"topics":[1,null]}']) expect(topicsOf(data)).toEqual([]);
});
