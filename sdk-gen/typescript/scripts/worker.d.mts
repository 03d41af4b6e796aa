export declare function workerModule(root: string): Promise<string>;
