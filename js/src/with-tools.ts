// "postern/tools" where the tools load by themselves: nothing to do.
export {};
