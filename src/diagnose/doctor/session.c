// SPDX-License-Identifier: MIT
// Opens the doctor's sessions on the config's model.
#include "base/log.h"
#include "diagnose/doctor/run.h"

enum clrnn_status clrnn_doctor_session(struct clrnn_examination *v, struct clrnn_device *device,
                                       struct clrnn_session_params params, struct clrnn_session **session)
{
    params.config = v->d->config;
    params.init = v->d->params->init;
    params.data = &v->data;
    params.set = params.set ? params.set : v->d->train;
    params.feed.whole_steps = true;
    return clrnn_session_open(device, &params, session);
}

enum clrnn_status clrnn_doctor_again(struct clrnn_session *session, enum clrnn_mode mode,
                                     struct clrnn_session_record *record)
{
    TRY(clrnn_session_begin_epoch(session, 0, 0));
    return clrnn_session_step(session, mode, record);
}
