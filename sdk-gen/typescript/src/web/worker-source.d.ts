/** The program of the worker, put here by the build. */
export declare const workerSource: string;
