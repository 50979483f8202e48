// The texts of the notebook in front that are too pale to read, and its pictures that
// let the page's colour through: one line each. WCAG 2.1, success criterion 1.4.3.
async () => {
  const canvas = new OffscreenCanvas(1, 1);
  const pen = canvas.getContext("2d", { willReadFrequently: true });

  const remembered = (compute) => {
    const known = new Map();
    return (key) => {
      if (!known.has(key)) known.set(key, compute(key));
      return known.get(key);
    };
  };

  // Any CSS colour as red, green, blue, alpha: 0 to 255, alpha 0 to 1.
  const parsed = remembered((colour) => {
    pen.clearRect(0, 0, 1, 1);
    pen.fillStyle = colour;
    pen.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  });
  const over = ([r, g, b, a], below) =>
    [r, g, b].map((part, i) => part * a + below[i] * (1 - a));

  const background = remembered((element) => {
    if (!element) return [255, 255, 255];
    const own = parsed(getComputedStyle(element).backgroundColor);
    return over(own, background(element.parentElement));
  });
  const opacity = remembered((element) =>
    element ? getComputedStyle(element).opacity * opacity(element.parentElement) : 1,
  );

  const luminance = (colour) => {
    const [r, g, b] = colour.map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (one, other) => {
    const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };

  const tooPale = (element) => {
    const look = getComputedStyle(element);
    const size = parseFloat(look.fontSize);
    const large = size >= 24 || (size >= 18.66 && look.fontWeight >= 700);
    const behind = background(element);
    const [r, g, b, a] = parsed(look.color);
    const ratio = contrast(over([r, g, b, a * opacity(element)], behind), behind);
    return ratio < (large ? 3 : 4.5) ? ratio.toFixed(1) : null;
  };

  const transparent = async (image) => {
    await image.decode();
    const spot = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
    const context = spot.getContext("2d");
    context.drawImage(image, 0, 0);
    return context.getImageData(0, 0, 1, 1).data[3] < 255;
  };

  const faults = new Set();
  // The colours of code and of tracebacks are JupyterLab's own.
  const code = ".jp-RenderedMarkdown pre, [data-mime-type$='jupyter.stderr']";
  const judge = (element, text) => {
    if (!text || element.closest(code) || !element.checkVisibility()) return;
    const ratio = tooPale(element);
    if (ratio) faults.add(`contrast ${ratio}: ${text.slice(0, 40)}`);
  };
  const notebook = jupyterapp.shell.currentWidget.content.node;
  const shown = ".jp-OutputArea-output, .jp-RenderedMarkdown table";
  for (const part of notebook.querySelectorAll(shown)) {
    const texts = document.createTreeWalker(part, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      judge(texts.currentNode.parentElement, texts.currentNode.data.trim());
    }
    for (const field of part.querySelectorAll("input[type=text], select")) {
      judge(field, field.value);
    }
    for (const image of part.querySelectorAll("img")) {
      if (await transparent(image)) faults.add(`transparent picture: ${image.alt}`);
    }
  }
  return [...faults];
}
