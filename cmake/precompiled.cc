// Empty: a target needs a source file to own precompiled headers.
