// SPDX-License-Identifier: MIT
// The version, for the preprocessor. meson.build refuses to configure where it says otherwise.
#ifndef CLRNN_VERSION_H
#define CLRNN_VERSION_H

/** The release, as semver.org has it; clrnn_version() gives that of the library in use. */
#define CLRNN_VERSION_MAJOR 0
#define CLRNN_VERSION_MINOR 2
#define CLRNN_VERSION_PATCH 0

/** Counts the changes of what these headers declare; also the soname's number. meson.build lists them. */
#define CLRNN_API_VERSION 4

#endif
