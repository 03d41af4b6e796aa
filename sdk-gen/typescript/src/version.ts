/** The version of this package, as in package.json. */
export const VERSION = "0.1.0";

/** How the SDK names itself to servers. */
export const USER_AGENT = `sluice-sdk-typescript/${VERSION}`;
