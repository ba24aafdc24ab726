import { render } from 'preact';
import { App } from './app';
import { language } from './strings';

document.documentElement.lang = language;
render(<App />, document.getElementById('app')!);
