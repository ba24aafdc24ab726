// Reads a text/event-stream body (WHATWG HTML 9.2.6): fetch() is needed because EventSource can only GET.
export interface ServerEvent { name: string; data: string }

// Fed with text in pieces of any size; answers the events that are complete.
export class EventParser {
  private pending = '';
  private name = '';
  private data: string[] = [];

  feed(text: string): ServerEvent[] {
    const events: ServerEvent[] = [];
    this.pending += text;
    // A CR at the very end may be half of a CRLF: it waits for the next piece.
    for (let end; (end = this.pending.match(/\r\n|\n|\r(?!$)/)) !== null; ) {
      const line = this.pending.slice(0, end.index);
      this.pending = this.pending.slice(end.index! + end[0].length);
      const event = this.line(line);
      if (event) events.push(event);
    }
    return events;
  }

  private line(line: string): ServerEvent | null {
    if (line === '') {
      const event = this.data.length ? { name: this.name || 'message', data: this.data.join('\n') } : null;
      this.name = '';
      this.data = [];
      return event;
    }
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'event') this.name = value;
    if (field === 'data') this.data.push(value);
    return null;
  }
}

// `heard` is called for whatever comes, comments included.
export async function* readEvents(body: ReadableStream<Uint8Array>, heard: () => void = () => {}): AsyncGenerator<ServerEvent> {
  const parser = new EventParser();
  const decoder = new TextDecoder();
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      heard();
      yield* parser.feed(decoder.decode(value, { stream: true }));
    }
  } finally {
    void reader.cancel().catch(() => {});
  }
}
