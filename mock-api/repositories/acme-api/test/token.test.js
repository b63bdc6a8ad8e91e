import assert from 'node:assert';
import test from 'node:test';
import { needsRefresh } from '../src/token.js';

test('a fresh token is kept', () => {
  assert.equal(needsRefresh({ expiresAt: 1000 }, 500), false);
});

test('an expired token is refreshed', () => {
  assert.equal(needsRefresh({ expiresAt: 1000 }, 1100), true);
});
