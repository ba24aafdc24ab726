import type { Connect } from 'vite';
export function mockApi(): Connect.NextHandleFunction;
