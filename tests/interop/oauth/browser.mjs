// A browser without a screen: it keeps cookies, reads the forms of pages, and fills them in.

const unescaped = (text) => text.replaceAll('&quot;', '"').replaceAll('&#39;', "'").replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&')

export class Browser {
  #cookies = new Map()

  async #send(url, options = {}) {
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const headers = { accept: 'text/html', ...options.headers, ...(cookie && { cookie }) }
    const answer = await fetch(url, { ...options, headers, redirect: 'manual' })
    for (const line of answer.headers.getSetCookie()) {
      const [name, value] = line.split(';')[0].split(/=(.*)/s)
      this.#cookies.set(name, value)
    }
    return answer
  }

  /** Goes on from an address to where the application is called back, signing in and agreeing on the way. */
  async follow(start, callback, person) {
    let answer = await this.#send(start)
    let at = new URL(start)
    for (let step = 0; step < 10; step++) {
      const location = answer.headers.get('location')
      if (location) {
        at = new URL(location, at)
        if (at.href.startsWith(callback)) return at
        answer = await this.#send(at)
        continue
      }
      const html = await answer.text()
      const form = html.match(/<form method="post" action="([^"]+)">(.*?)<\/form>/s)
      if (answer.status !== 200 || !form) throw new Error(`${answer.status} ${at}: ${html}`)
      const fields = new URLSearchParams()
      for (const [, name, value] of form[2].matchAll(/<input type="hidden" name="([^"]+)" value="([^"]*)">/g)) {
        fields.set(name, unescaped(value))
      }
      if (form[2].includes('name="password"')) {
        fields.set('email', person.email)
        fields.set('password', person.password)
      }
      if (form[2].includes('name="approve"')) fields.set('approve', 'true')
      at = new URL(form[1], at)
      answer = await this.#send(at, { method: 'POST', body: fields })
    }
    throw new Error('the pages lead nowhere')
  }
}
