// What script in a page leaves behind, and how to see it.

import { origin } from './harness.mjs';

/** Script that tries everything that script in an origin could do. */
export const script = `
  const attempt = (action) => { try { action(); } catch {} };
  attempt(() => console.log('trace'));
  attempt(() => { document.cookie = 'trace=1; path=/'; });
  attempt(() => localStorage.setItem('trace', '1'));
  attempt(() => { window.name = 'trace'; });
  attempt(() => { opener.document.title = 'trace'; });
  attempt(() => { parent.document.title = 'trace'; });
  attempt(() => fetch('${origin}/livez?trace'));
  attempt(() => alert('trace'));
`;

/**
 * Watches a new browser context. `look()` answers what kinds of traces script
 * has left in it since: a sorted array of names, empty if no script ran.
 */
export async function watch(context) {
  const seen = new Set();
  const follow = (page) => {
    page.on('console', (message) => message.text() === 'trace' && seen.add('console'));
    page.on('dialog', (dialog) => {
      seen.add('dialog');
      dialog.dismiss().catch(() => {});
    });
  };
  context.on('page', follow);
  context.pages().forEach(follow);
  context.on('request', (request) => request.url().endsWith('?trace') && seen.add('request'));
  return {
    async look() {
      const cookies = await context.cookies(origin);
      if (cookies.some((cookie) => cookie.name === 'trace')) seen.add('cookie');
      for (const page of context.pages()) {
        for (const frame of page.frames()) {
          const found = await frame
            .evaluate(() => [window.name === 'trace', document.title === 'trace'])
            .catch(() => [false, false]);
          if (found[0]) seen.add('name');
          if (found[1]) seen.add('title');
        }
      }
      const page = await context.newPage();
      await page.goto(`${origin}/livez`);
      if (await page.evaluate(() => localStorage.getItem('trace'))) seen.add('storage');
      await page.close();
      return [...seen].sort();
    },
  };
}
