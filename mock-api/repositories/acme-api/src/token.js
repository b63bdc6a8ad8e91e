/** How long before its end a token is refreshed, in seconds. */
const MARGIN = 60;

/** Whether the token has to be refreshed at the time `now`, in seconds. */
export function needsRefresh(token, now) {
  return now > token.expiresAt + MARGIN;
}
