// SPDX-License-Identifier: MIT
// Stores the numbers in a struct as text in the metadata of a safetensors file, without rounding, and checks them when
// they are read back.
#ifndef CLRNN_SRC_MODEL_FIELDS_H
#define CLRNN_SRC_MODEL_FIELDS_H

#include "formats/safetensors.h"

enum clrnn_field_kind { CLRNN_FIELD_U64, CLRNN_FIELD_I64, CLRNN_FIELD_F64, CLRNN_FIELD_BOOL };
struct clrnn_field {
    const char *key;
    enum clrnn_field_kind kind;
    size_t offset;
    double least, most; // allowed range; both 0: any value, for F64 also NaN
};

/** Adds the fields of the struct at `base` to the metadata. */
enum clrnn_status clrnn_fields_put(struct clrnn_safetensors_writer *writer, const struct clrnn_field *field,
                                   size_t count, const void *base);
/** Reads the fields of the struct at `base` from the metadata. Errors: CLRNN_ERR_DATA if a field is missing, not a
 * number, or out of range. */
enum clrnn_status clrnn_fields_get(const struct clrnn_log *log, const struct clrnn_safetensors *file,
                                   const struct clrnn_field *field, size_t count, void *base);

#endif
