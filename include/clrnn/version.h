// SPDX-License-Identifier: MIT
// Version macros. meson.build has the same numbers, and fails to configure if they differ from these.
#ifndef CLRNN_VERSION_H
#define CLRNN_VERSION_H

/** The version of these headers (semver.org); clrnn_version() returns the version of the library in use. */
#define CLRNN_VERSION_MAJOR 0
#define CLRNN_VERSION_MINOR 2
#define CLRNN_VERSION_PATCH 0

/** Incremented when these headers change; also the soname's number. meson.build lists the changes. */
#define CLRNN_API_VERSION 43

#endif
