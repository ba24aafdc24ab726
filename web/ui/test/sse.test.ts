import { expect, it } from 'vitest';
import { EventParser, readEvents } from '../src/sse';

const TEXT = 'event: progress\ndata: {"line":"a"}\n\n: a comment\n\nevent: done\r\ndata: 1\r\ndata: 2\r\n\r\ndata:x\n\n';
const EVENTS = [{ name: 'progress', data: '{"line":"a"}' }, { name: 'done', data: '1\n2' }, { name: 'message', data: 'x' }];

it('gives the same events however the stream is cut', () => {
  for (let size = 1; size <= TEXT.length; size++) {
    const parser = new EventParser();
    const events = [];
    for (let at = 0; at < TEXT.length; at += size) events.push(...parser.feed(TEXT.slice(at, at + size)));
    expect(events).toEqual(EVENTS);
  }
});

it('keeps an event back until it is complete', () => {
  const parser = new EventParser();
  expect(parser.feed('data: 1\n')).toEqual([]);
  expect(parser.feed('\n')).toEqual([{ name: 'message', data: '1' }]);
});

it('reads bytes, with a character cut in two', async () => {
  const bytes = new TextEncoder().encode('data: é\n\n');
  const body = new ReadableStream<Uint8Array>({ start(c) { c.enqueue(bytes.slice(0, 7)); c.enqueue(bytes.slice(7)); c.close(); } });
  const events = [];
  for await (const event of readEvents(body)) events.push(event);
  expect(events).toEqual([{ name: 'message', data: 'é' }]);
});
