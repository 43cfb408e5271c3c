// SPDX-License-Identifier: MIT
// Fuzz target: a .csv file.
#include "formats/csv.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct clrnn_csv *csv;
    enum clrnn_status st;

    fuzz_start();
    st = clrnn_csv_read(&fuzz_log, fuzz_file(data, size), size & 1, &csv);
    fuzz_check_status(st);
    if (st != CLRNN_OK)
        return 0;
    FUZZ_CHECK(csv->rows && csv->columns);
    for (size_t i = 0; i < csv->columns && i < 16; i++)
        FUZZ_CHECK(clrnn_csv_column(csv, csv->names[i]) >= 0);
    clrnn_csv_destroy(&csv);
    return 0;
}
