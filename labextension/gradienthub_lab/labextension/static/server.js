/* The server part of this extension, asked through JupyterLab's own connection (base_url, token and XSRF are its business). */

export class Server {
  /** @param services, coreutils: JupyterLab's modules */
  constructor(services, coreutils) {
    this._connection = services.ServerConnection;
    this._settings = services.ServerConnection.makeSettings();
    this._join = coreutils.URLExt.join;
  }

  /** `{status, body}` of the lease; body is null where the answer is not ours. Throws if the server is away. */
  lease() {
    return this._ask('lease', 'GET');
  }

  extend() {
    return this._ask('extend', 'POST');
  }

  personIsThere() {
    return this._ask('activity', 'POST');
  }

  async _ask(what, method) {
    // Asking is not using: what we ask must never keep the server alive.
    const url = `${this._join(this._settings.baseUrl, 'gradienthub', what)}?no_track_activity=1`;
    const response = await this._connection.makeRequest(url, { method }, this._settings);
    const body = await response.json().catch(() => null);
    return { status: response.status, body };
  }
}
