// Small line drawings, 24 units wide, in the colour of the text beside them. They decorate; the words carry the meaning.
const PATHS = {
  home: 'M4 6h16v12H4zM4 10h16M8 14h4',
  terminal: 'M4 5h16v14H4zM8 10l3 2.5L8 15M13 15h4',
  connect: 'M9 15l6-6M10.5 7.5l2-2a4.2 4.2 0 0 1 6 6l-2 2M13.5 16.5l-2 2a4.2 4.2 0 0 1-6-6l2-2',
  layers: 'M12 4l8 4-8 4-8-4zM4 12l8 4 8-4M4 16l8 4 8-4',
  key: 'M14.5 9.5a4.5 4.5 0 1 1-4.3-4.5 4.5 4.5 0 0 1 4.3 4.5zM13.5 12.5L20 19M17 16l2-2',
  pulse: 'M3 12h4l3-7 4 14 3-7h4',
  door: 'M13 4h6v16h-6M4 12h10M11 8.5l3.5 3.5-3.5 3.5',
  gauge: 'M5 18a8.5 8.5 0 1 1 14 0M12 13l4-4',
  users: 'M9 11.5a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM2.5 19.5c.5-3.5 3-5 6.5-5s6 1.5 6.500 5M16 5a3.500 3.500 0 0 1 0 6.500M18 14.800c2 .7 3.200 2.200 3.500 4.700',
  rotate: 'M19.500 8A8 8 0 0 0 5 8.500M4.500 16A8 8 0 0 0 19 15.500M19.500 3.500V8H15M4.500 20.500V16H9',
  list: 'M9 6h11M9 12h11M9 18h11M4.500 6h.01M4.500 12h.01M4.500 18h.01',
  shield: 'M12 3.500l7.500 2.700v5.300c0 4.500-3 7.700-7.500 9-4.500-1.300-7.500-4.500-7.500-9V6.200zM8.800 12l2.300 2.300 4.200-4.600',
  sliders: 'M4 7h9M17 7h3M4 17h3M11 17h9M15 5v4M9 15v4',
  play: 'M7 5l12 7-12 7z',
  more: 'M5 12h.01M12 12h.01M19 12h.01',
  menu: 'M4 7h16M4 12h16M4 17h16',
  warning: 'M12 4l9 16H3zM12 10v4.500M12 17.300h.01',
  external: 'M13 5h6v6M19 5l-8.500 8.500M10 6H5v13h13v-5',
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return <svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d={PATHS[name]} /></svg>;
}
